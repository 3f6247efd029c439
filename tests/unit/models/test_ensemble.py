"""The fused prediction and those of single inputs, averaged by hand row by row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from curves import ABSENT, TWO, Curve, grown, make_batch, make_head, make_model, make_tower
from scipy.special import expit, log_softmax, logit

from polymodal.calibration.temperature import Temperature
from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Model
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.tag import Tag, TagConfig
from polymodal.types import Meaning, Scores

X, Y = [1.0, ABSENT, -0.4, ABSENT], [0.3, -2.0, ABSENT, ABSENT]


def make_ensemble(weight: float, model: Model | None = None, names: str | list[str] = "ab") -> Ensemble:
    model = model or make_model()
    heads = {name: make_head() for name in names}
    made = Ensemble(model, heads, meaning="numbers", weight=weight, calibrator=Temperature()).eval()
    grown(made)
    return made


def by_itself(ensemble: Ensemble, name: str, number: float) -> np.ndarray:
    """What an input predicts from one number, from its weights."""
    token = ensemble.encoders[name].curve(torch.tensor([number]))
    linear = ensemble.heads[name].readout.linear
    return (linear.weight @ token + linear.bias).detach().double().numpy()


def test_inputs_that_are_present_share_the_weight_beside_their_fusion():
    ensemble = make_ensemble(0.25)
    found, fused = (network(make_batch(x=X, y=Y)) for network in (ensemble, ensemble.model))
    for row, (x, y) in enumerate(zip(X[:3], Y[:3], strict=True)):
        alone = [by_itself(ensemble, name, number) for name, number in (("a", x), ("b", y)) if not np.isnan(number)]
        expected = 0.75 * fused.values[row].detach().numpy() + 0.25 * np.mean(alone, axis=0)
        np.testing.assert_allclose(found.values[row].detach(), expected, rtol=1e-5)
    assert torch.equal(found.values[3], ensemble.head.prior)  # exactly
    assert found.present.tolist() == [True, True, True, False]


@pytest.mark.parametrize("names", ["ab", ""])
def test_without_weight_or_heads_the_fusion_is_all_there_is(names):
    ensemble = make_ensemble(0.25 if not names else 0.0, names=names)
    batch = make_batch(x=X, y=Y)
    assert torch.equal(ensemble(batch).values, ensemble.model(batch).values)


def test_the_weight_may_be_changed_and_is_saved():
    ensemble, again = make_ensemble(0.25), make_ensemble(0.5)
    batch = make_batch(x=X, y=Y)
    quarter = ensemble(batch).values
    ensemble.weight.fill_(0.75)
    fused = ensemble.model(batch).values
    torch.testing.assert_close(ensemble(batch).values - fused, 3 * (quarter - fused))
    ensemble.calibrator.value.fill_(4.0)
    again.load_state_dict(ensemble.state_dict())
    assert torch.equal(again(batch).values, ensemble(batch).values)


def test_scores_are_divided_by_the_temperature_but_not_the_prior():
    ensemble = make_ensemble(0.25)
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
    """Of one row: the logarithms of the mean probability of each class; of labels, its log odds."""
    if meaning == "classes":
        return np.log(np.average(np.exp(log_softmax(scores, axis=1)), axis=0, weights=weights))
    return logit(np.average(expit(scores), axis=0, weights=weights))


@pytest.mark.parametrize("task", [classify(), tag()], ids=["classes", "labels"])
def test_probabilities_are_averaged_as_such(task):
    torch.manual_seed(0)
    tower = make_tower(TWO)
    model = Model({"": tower}, task.head({"": tower.fusion.width}))
    heads = {name: task.head({"": Curve.width}) for name in TWO}
    ensemble = Ensemble(model, heads, meaning=task.meaning, weight=0.4, calibrator=Temperature()).eval()
    grown(ensemble)
    found, fused = (network(make_batch(x=X, y=Y)).values.detach().double().numpy() for network in (ensemble, model))
    both = [by_itself(ensemble, "a", X[0]), by_itself(ensemble, "b", Y[0])]
    expected = pooled(np.stack([fused[0], *both]), [0.6, 0.2, 0.2], task.meaning)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)
    only_b = np.stack([fused[1], by_itself(ensemble, "b", Y[1])])
    np.testing.assert_allclose(found[1], pooled(only_b, [0.6, 0.4], task.meaning), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[3], task.prior, rtol=1e-6)


def test_unimodal_predictions_hold_the_prior_where_the_input_is_absent():
    ensemble = make_ensemble(0.25)
    alone: Mapping[str, Scores] = ensemble.unimodal(ensemble.encode(make_batch(x=X, y=Y)))
    for name, numbers in (("a", X), ("b", Y)):
        for row, number in enumerate(numbers):
            expected = ensemble.head.prior if np.isnan(number) else by_itself(ensemble, name, number)
            np.testing.assert_allclose(alone[name].values[row].detach(), expected, rtol=1e-5)
        assert alone[name].present.tolist() == [not np.isnan(number) for number in numbers]


def test_any_column_name_can_be_an_input_and_order_does_not_matter():
    names = ["keys", "a.b", "type", "forward", "", "naïve 😀"]
    columns = {name: (name,) for name in names}
    ensemble = make_ensemble(0.5, make_model(columns), names)
    again = make_ensemble(0.5, make_model(dict(reversed(columns.items()))), names[::-1])
    again.load_state_dict(ensemble.state_dict())
    batch = make_batch(**{name: [float(place), ABSENT] for place, name in enumerate(names)})
    assert torch.equal(ensemble(batch).values, again(batch).values)
