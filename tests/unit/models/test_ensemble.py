"""The predictions of an ensemble's members, averaged by hand row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from curves import ABSENT, TWO, Curve, Mean, grown, make_batch, make_head, make_model, make_tower
from scipy.special import log_softmax

from polymodal.calibration.temperature import Temperature
from polymodal.models.ensemble import Ensemble
from polymodal.models.feature_members import FeatureMembers
from polymodal.models.model import Model
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.tag import Tag, TagConfig
from polymodal.types import Batch, Meaning, Scores

X, Y = [1.0, ABSENT, -0.4, ABSENT], [0.3, -2.0, ABSENT, ABSENT]
WEIGHTS = {"joint": 0.5, "unimodal:a": 0.3, "unimodal:b": 0.2}


def make_ensemble(
    weights: list[float] | None = None,
    model: Model | None = None,
    names: str | list[str] = "ab",
    *,
    features: FeatureMembers | None = None,
    pools_heads: bool = True,
) -> Ensemble:
    model = model or make_model()
    heads = {name: make_head() for name in names}
    made = Ensemble(model, heads, features, pools_heads=pools_heads, meaning="numbers", calibrator=Temperature()).eval()
    if weights is not None:
        made.weights.copy_(torch.tensor(weights))
    grown(made)
    return made


def make_features(fitted: list[bool], boosting: bool = True) -> FeatureMembers:
    """Of features that are scaled by 2."""
    made = FeatureMembers({name: Mean() for name in "ab"}, Mean() if boosting else None, inputs="ab")
    for reader in made.readers.values():
        reader.put(centre=np.zeros(2), spread=np.full(2, 2.0))
    made.fitted.copy_(torch.tensor(fitted))
    return made


def with_features(batch: Batch) -> Batch:
    """Of each column the number and its square."""
    columns = {
        name: torch.where(cells.present[:, None], cells.values, torch.nan) for name, cells in batch.cells.items()
    }
    return replace(batch, features={name: torch.cat([one, one**2], dim=1) for name, one in columns.items()})


def by_itself(ensemble: Ensemble, name: str, number: float) -> np.ndarray:
    """What a head predicts from one number, from its weights."""
    token = ensemble.encoders[name].curve(torch.tensor([number]))
    linear = ensemble.heads[name].readout.linear
    return (linear.weight @ token + linear.bias).detach().double().numpy()


def test_members_that_are_present_share_the_weight_of_all():
    ensemble = make_ensemble([*WEIGHTS.values()])
    found, fused = (network(make_batch(x=X, y=Y)) for network in (ensemble, ensemble.model))
    for row, (x, y) in enumerate(zip(X[:3], Y[:3], strict=True)):
        alone = [(name, number) for name, number in (("a", x), ("b", y)) if not np.isnan(number)]
        said = [fused.values[row].detach().numpy(), *(by_itself(ensemble, name, number) for name, number in alone)]
        shares = [WEIGHTS["joint"], *(WEIGHTS[f"unimodal:{name}"] for name, _ in alone)]
        np.testing.assert_allclose(found.values[row].detach(), np.average(said, axis=0, weights=shares), rtol=1e-5)
    assert torch.equal(found.values[3], ensemble.head.prior)  # exactly
    assert found.present.tolist() == [True, True, True, False]


@pytest.mark.parametrize("settings", [{"names": ""}, {"pools_heads": False}])
def test_without_other_members_the_model_is_all_there_is(settings):
    ensemble = make_ensemble(**settings)
    batch = make_batch(x=X, y=Y)
    assert ensemble.names == ("joint",)
    assert torch.equal(ensemble(batch).values, ensemble.model(batch).values)
    assert list(ensemble.unimodal(ensemble.encode(batch))) == list(settings.get("names", "ab"))  # heads still learn


def test_the_weights_may_be_changed_and_are_saved():
    ensemble, again = make_ensemble([0.75, 0.125, 0.125]), make_ensemble()
    batch = make_batch(x=X[:1], y=Y[:1])
    before, fused = ensemble(batch).values, ensemble.model(batch).values
    ensemble.weights.copy_(torch.tensor([0.25, 0.375, 0.375]))
    torch.testing.assert_close(ensemble(batch).values - fused, 3 * (before - fused))
    ensemble.calibrator.value.fill_(4.0)
    again.load_state_dict(ensemble.state_dict())
    assert torch.equal(again(batch).values, ensemble(batch).values)


def test_scores_are_divided_by_the_temperature_but_not_the_prior():
    ensemble = make_ensemble([*WEIGHTS.values()])
    batch = make_batch(x=X, y=Y)
    plain = ensemble(batch).values
    ensemble.calibrator.value.fill_(4.0)
    torch.testing.assert_close(ensemble(batch).values[:3], plain[:3] / 4)
    assert torch.equal(ensemble(batch).values[3], plain[3])


def classify() -> Classify:
    config = ClassifyConfig(dropout=0.0)
    return Classify(config, Classify(config).fit(["u"] * 5 + ["v"] * 3 + ["w"] * 2, column="label"))


def tag() -> Tag:
    config = TagConfig(min_count=1, dropout=0.0)
    return Tag(config, Tag(config).fit([["u"], ["u", "v"], ["w"], ["v"]], column="tags"))


def pooled(scores: np.ndarray, weights: list[float], meaning: Meaning) -> np.ndarray:
    """Of one row: the weighted mean of log-probabilities, which need not add up to one; of labels, of log odds."""
    return np.average(log_softmax(scores, axis=1) if meaning == "classes" else scores, axis=0, weights=weights)


@pytest.mark.parametrize("task", [classify(), tag()], ids=["classes", "labels"])
def test_logarithms_of_probabilities_are_averaged(task):
    torch.manual_seed(0)
    tower = make_tower(TWO)
    model = Model({"": tower}, task.head({"": tower.fusion.width}))
    heads = {name: task.head({"": Curve.width}) for name in TWO}
    ensemble = Ensemble(model, heads, pools_heads=True, meaning=task.meaning, calibrator=Temperature()).eval()
    ensemble.weights.copy_(torch.tensor([*WEIGHTS.values()]))
    grown(ensemble)
    found, fused = (network(make_batch(x=X, y=Y)).values.detach().double().numpy() for network in (ensemble, model))
    both = [by_itself(ensemble, "a", X[0]), by_itself(ensemble, "b", Y[0])]
    expected = pooled(np.stack([fused[0], *both]), [0.5, 0.3, 0.2], task.meaning)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)
    only_b = np.stack([fused[1], by_itself(ensemble, "b", Y[1])])
    np.testing.assert_allclose(found[1], pooled(only_b, [0.5, 0.2], task.meaning), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[3], task.prior, rtol=1e-6)


def test_unimodal_predictions_hold_the_prior_where_the_input_is_absent():
    ensemble = make_ensemble()
    alone: Mapping[str, Scores] = ensemble.unimodal(ensemble.encode(make_batch(x=X, y=Y)))
    for name, numbers in (("a", X), ("b", Y)):
        for row, number in enumerate(numbers):
            expected = ensemble.head.prior if np.isnan(number) else by_itself(ensemble, name, number)
            np.testing.assert_allclose(alone[name].values[row].detach(), expected, rtol=1e-5)
        assert alone[name].present.tolist() == [not np.isnan(number) for number in numbers]


def test_members_that_read_features_predict_beside_the_others():
    ensemble = make_ensemble(features=make_features([True, True, True]))
    kinds = ("joint", "unimodal:a", "unimodal:b", "linear:a", "linear:b", "gradient_boosting")
    assert ensemble.names == kinds and ensemble.takes_features
    members = ensemble.members(ensemble.encode(with_features(make_batch(x=X, y=Y))))
    assert tuple(members) == kinds
    a, b = (np.nan_to_num(np.stack([numbers, np.square(numbers)])) / 2 for numbers in (np.array(X), np.array(Y)))
    for name, expected in (
        ("linear:a", a.mean(0)),
        ("linear:b", b.mean(0)),
        ("gradient_boosting", (a + b).mean(0) / 2),
    ):
        np.testing.assert_allclose(members[name].values[:, 0], expected, rtol=1e-6, atol=1e-7)
    assert members["linear:a"].present.tolist() == [True, False, True, False]
    assert members["linear:b"].present.tolist() == [True, True, False, False]
    assert members["gradient_boosting"].present.tolist() == [True, True, True, False]


def test_members_that_learned_nothing_give_their_weight_to_the_others():
    ensemble = make_ensemble([0.1, 0.1, 0.2, 0.3, 0.1, 0.2], features=make_features([False, True, False]))
    tokens = ensemble.encode(with_features(make_batch(x=X[:1], y=Y[:1])))
    members = ensemble.members(tokens)
    assert tuple(members) == ("joint", "unimodal:a", "unimodal:b", "linear:b")
    said = [scores.values[0, 0].item() for scores in members.values()]
    expected = np.average(said, weights=[0.1, 0.1, 0.2, 0.1])
    assert ensemble.combine(tokens).values[0, 0].item() == pytest.approx(expected, rel=1e-5)


def test_features_are_asked_for_only_where_a_member_reads_them():
    ensemble = make_ensemble(features=make_features([False, False, False]))
    batch = make_batch(x=X, y=Y)
    assert not ensemble.takes_features
    assert all(tokens.features is None for tokens in ensemble.encode(batch).values())
    assert tuple(ensemble.members(ensemble.encode(batch))) == ("joint", "unimodal:a", "unimodal:b")


def test_a_masked_input_is_missing_for_all_members():
    ensemble = make_ensemble(features=make_features([True, True, True]))
    tokens = ensemble.encode(with_features(make_batch(x=[1.0, 0.5], y=[0.3, 2.0])))
    nobody = torch.zeros(2, dtype=torch.bool)
    masked = ensemble.combine({**tokens, "b": tokens["b"].where_present(nobody)})
    missing = ensemble(with_features(make_batch(x=[1.0, 0.5], y=[ABSENT, ABSENT])))
    torch.testing.assert_close(masked.values, missing.values)
    assert not torch.allclose(masked.values, ensemble.combine(tokens).values)


def test_any_column_name_can_be_an_input_and_order_does_not_matter():
    names = ["keys", "a.b", "type", "forward", "", "naïve 😀"]
    columns = {name: (name,) for name in names}
    ensemble = make_ensemble(None, make_model(columns), names)
    again = make_ensemble(None, make_model(dict(reversed(columns.items()))), names[::-1])
    again.load_state_dict(ensemble.state_dict())
    batch = make_batch(**{name: [float(place), ABSENT] for place, name in enumerate(names)})
    assert torch.equal(ensemble(batch).values, again(batch).values)
