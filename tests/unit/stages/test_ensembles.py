"""Ensembles with all their members, trained as a user would, with the defaults."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from stage_tables import EMPTY, TABLE, TARGETS, run

from polymodal.bundles.bundle import load, save
from polymodal.inference.predictor import predict
from polymodal.models.ensemble import Ensemble
from polymodal.pipeline.run import Run

EVERY = {"joint", "unimodal:table", "unimodal:words", "gradient_boosting"}
OF_NUMBERS = {"regress", "regress several"}
NEW = {name: TABLE[name][:12] for name in ("size", "other", "words")}


@cache
def trained(task: str) -> Run:
    return run(task, train={"epochs": 1})  # with a refit


def predicted(found: Run, rows: dict) -> np.ndarray:
    return predict(found.bundle, rows).prediction.values.numpy()


@pytest.mark.parametrize("task", TARGETS)
def test_every_target_that_is_scored_gets_all_members(task):
    network = trained(task).bundle.model
    assert isinstance(network, Ensemble)
    assert set(network.names) == EVERY | ({"linear"} if task in OF_NUMBERS else {"linear:table", "linear:words"})
    assert network.features.fitted.all()
    assert network.weights.min() > 0 and float(network.weights.sum()) == pytest.approx(1.0)
    assert np.isfinite(predicted(trained(task), NEW)).all()


def test_members_of_a_bundle_predict_as_before(tmp_path: Path):
    found = trained("classify")
    save(found.bundle, tmp_path / "bundle")
    again = load(tmp_path / "bundle")
    assert again.model.names == found.bundle.model.names
    for name, tensor in found.bundle.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)
    expected = predicted(found, NEW)
    np.testing.assert_array_equal(predict(again, NEW).prediction.values.numpy(), expected)
    assert np.ptp(expected[:, 0]) > 0


@pytest.mark.parametrize("missing", [["words"], ["size", "other"]])
def test_the_linear_member_of_numbers_predicts_without_an_input(missing):
    found, network = trained("regress"), trained("regress").bundle.model
    before = network.weights.clone()
    try:
        network.weights.copy_(torch.tensor([float(name == "linear") for name in network.names]))
        full = predicted(found, NEW)
        without = predicted(found, {**NEW, **{name: [None] * 12 for name in missing}})
    finally:
        network.weights.copy_(before)
    assert np.isfinite(without).all() and not np.allclose(without, full)


def test_a_row_without_an_input_is_predicted_by_the_others():
    found, network = trained("classify"), trained("classify").bundle.model
    without = predicted(found, {**NEW, "words": [None] * 12})
    before = network.weights.clone()
    try:
        network.weights[[name.endswith(":words") for name in network.names]] = 0.0
        np.testing.assert_allclose(predicted(found, {**NEW, "words": [None] * 12}), without, atol=1e-5)
    finally:
        network.weights.copy_(before)
    nothing = predicted(found, EMPTY)
    np.testing.assert_allclose(nothing[0], network.head.prior, rtol=1e-6)


def test_one_input_has_no_unimodal_member():
    found = run(drop=["amount", "grade", "tags", "words"], train={"epochs": 1, "final": "best"}, columns={},
                encoders={"table": {"width": 8}})  # fmt: skip
    assert set(found.bundle.metrics.ensemble) == {"joint", "linear:table", "gradient_boosting"}


def test_members_may_be_left_out():
    found = run(train={"epochs": 1, "final": "best", "ensemble": ["linear"]})
    assert set(found.bundle.metrics.ensemble) == {"joint", "linear:table", "linear:words"}
    alone = run(train={"epochs": 1, "final": "best", "ensemble": []})
    assert alone.bundle.model.features is None and not alone.bundle.model.takes_features
    assert alone.bundle.metrics.ensemble == {"joint": 1.0}


def test_other_stages_have_no_ensemble():
    assert run(stage="late", fusion="average", train={"epochs": 1, "final": "best"}).bundle.metrics.ensemble == {}
