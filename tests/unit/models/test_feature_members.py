"""What members of an ensemble make of handcrafted features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from curves import Mean
from sklearn.preprocessing import StandardScaler

from polymodal.models.feature_members import FeatureMembers, FeatureReader
from polymodal.types import Tokens

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(3, 5, (6, 4))


def read(reader: FeatureReader, features: np.ndarray, present: list[bool] | None = None) -> np.ndarray:
    mask = torch.ones(len(features), 1, dtype=torch.bool) if present is None else torch.tensor(present).unsqueeze(1)
    given = torch.from_numpy(features.astype(np.float32))
    return reader(Tokens(torch.zeros(len(features), 1, 2), mask, given)).numpy()


def fitted_reader(scaler: StandardScaler) -> FeatureReader:
    reader = FeatureReader()
    reader.put(centre=scaler.mean_, spread=scaler.scale_)
    return reader


def test_features_are_standardised_as_scikit_learn_does():
    scaler = StandardScaler().fit(FEATURES)
    new = RNG.normal(0, 9, (3, 4))
    np.testing.assert_allclose(read(fitted_reader(scaler), new), scaler.transform(new), rtol=1e-5)


def test_what_is_missing_counts_as_the_mean():
    gaps = FEATURES.copy()
    gaps[1, 2], gaps[2] = np.nan, np.nan
    scaler = StandardScaler().fit(FEATURES)
    expected = scaler.transform(gaps)
    found = read(fitted_reader(scaler), gaps, [True, True, False, True, True, False])
    np.testing.assert_allclose(found[[0, 1, 3, 4]], np.nan_to_num(expected[[0, 1, 3, 4]]), rtol=1e-5)
    assert not found[[2, 5]].any()  # an input that is masked is missing, whatever its features are


def test_a_wild_feature_is_cut_to_the_bound():
    reader = FeatureReader()
    reader.put(centre=np.zeros(2), spread=np.array([1.0, 1e-6]), bound=4.0)
    np.testing.assert_array_equal(read(reader, np.array([[3.0, 7.0], [-9.0, 1e-6]])), [[3.0, 4.0], [-4.0, 1.0]])


def test_a_feature_of_infinite_spread_counts_for_nothing():
    reader = FeatureReader()
    reader.put(centre=np.zeros(2), spread=np.array([1.0, np.inf]))
    np.testing.assert_array_equal(read(reader, np.array([[3.0, 7.0]])), [[3.0, 0.0]])


def test_trees_read_the_scaled_features_or_their_projection():
    reader, scaled = FeatureReader(), torch.from_numpy(FEATURES).float()
    assert torch.equal(reader.project(scaled), scaled)
    directions = RNG.normal(size=(4, 2))
    reader.put(projection=directions)
    np.testing.assert_allclose(reader.project(scaled), FEATURES @ directions, rtol=1e-5)


def make_members(boosting: bool = True) -> FeatureMembers:
    return FeatureMembers({"a": Mean(2), "b": Mean(2)}, Mean(2) if boosting else None, inputs=("a", "b"))


def make_tokens(a: list[bool], b: list[bool]) -> dict[str, Tokens]:
    return {
        name: Tokens(torch.zeros(2, 1, 0), torch.tensor(present).unsqueeze(1), torch.full((2, width), float(width)))
        for name, present, width in (("a", a, 1), ("b", b, 3))
    }


@pytest.mark.parametrize("fitted", [[True, False, True], [False, False, False], [True, True, True]])
def test_only_members_that_learned_something_predict(fitted):
    members = make_members()
    for reader, width in zip(members.readers.values(), (1, 3), strict=True):
        reader.put(centre=np.zeros(width), spread=np.ones(width))
    members.fitted.copy_(torch.tensor(fitted))
    found = members(make_tokens([True, False], [True, True]))
    assert tuple(found) == tuple(name for name, has in zip(members.names, fitted, strict=True) if has)


def test_the_boosted_member_is_present_where_any_input_is():
    members = make_members()
    for reader, width in zip(members.readers.values(), (1, 3), strict=True):
        reader.put(centre=np.zeros(width), spread=np.ones(width))
    members.fitted.fill_(True)
    found = members(make_tokens([True, False], [False, False]))
    assert found["linear:a"].present.tolist() == found["gradient_boosting"].present.tolist() == [True, False]
    assert found["linear:b"].present.tolist() == [False, False]
    assert float(found["gradient_boosting"].values[0, 0]) == pytest.approx(1 / 4)  # a alone is not zero


def test_a_linear_member_of_all_inputs_reads_them_side_by_side_wherever_any_is():
    members = FeatureMembers({"": Mean(1)}, None, inputs=("a", "b"))
    for reader, width in zip(members.readers.values(), (1, 3), strict=True):
        reader.put(centre=np.zeros(width), spread=np.ones(width))
    members.fitted.fill_(True)
    assert members.names == ("linear",)
    found = members({
        name: Tokens(torch.zeros(3, 1, 0), torch.tensor(present).unsqueeze(1), torch.full((3, width), float(width)))
        for name, present, width in (("a", [True, False, False], 1), ("b", [True, True, False], 3))
    })["linear"]  # fmt: skip
    assert found.present.tolist() == [True, True, False]
    assert found.values[:, 0].tolist() == pytest.approx([(1 + 3 * 3) / 4, 3 * 3 / 4, 0])  # what is missing is zero


def test_state_of_any_shape_is_taken_over():
    members, again = make_members(), make_members()
    members.readers["a"].put(centre=RNG.normal(size=5), spread=np.full(5, np.inf), projection=RNG.normal(size=(5, 2)))
    members.fitted.copy_(torch.tensor([True, False, True]))
    again.load_state_dict(members.state_dict())
    assert again.state_dict().keys() == members.state_dict().keys()
    for name, tensor in members.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
