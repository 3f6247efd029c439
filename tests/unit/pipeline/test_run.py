"""The way of the data where no other test of it looks: sample weights, and the configuration that is written back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from polymodal.config.run_config import RunConfig, make
from polymodal.errors import ConfigError, DataError
from polymodal.metrics.history import EpochRecord, History
from polymodal.pipeline.run import train
from polymodal.pipeline.trainer import failure
from polymodal.training.loop import fit

ROWS = 24
SIDES = ["train"] * 12 + ["validation"] * 6 + ["test"] * 6
TABLE = {
    "size": np.random.default_rng(0).normal(size=ROWS).tolist(),
    "label": ["a", "b"] * (ROWS // 2),
    "side": SIDES,
}
SMALL = {
    "target": "label",
    "split": {"column": "side"},
    "encoders": {"table": {"width": 4}},
    "fusion": {"name": "concat", "width": 4},
    "train": {"epochs": 1},
}


def run(table: dict[str, list], **config):
    return train(table, make(SMALL | config))


def weights(on_train: float | None, elsewhere: float = 1.0) -> list:
    return [on_train if side == "train" else elsewhere for side in SIDES]


def test_weights_that_are_all_zero_among_the_training_rows_are_refused():
    with pytest.raises(DataError, match="column 'w': the sample weights of all 12 training rows are zero"):
        run(TABLE | {"w": weights(0.0)}, weight="w")


def test_one_training_row_that_counts_is_enough():
    bundle = run(TABLE | {"w": [1.0] + [0.0] * (ROWS - 1)}, weight="w").bundle
    assert all(torch.isfinite(value).all() for value in bundle.model.state_dict().values())


@pytest.mark.parametrize(
    ("cell", "found"), [(None, "the cell is empty"), (-1.0, "-1.0 is no sample weight"), (float("inf"), "inf is no")]
)
def test_a_cell_that_is_no_weight_is_named(cell, found):
    table = TABLE | {"w": [*weights(1.0)[:3], cell, *weights(1.0)[4:]]}
    with pytest.raises(DataError, match=f"row 3, column 'w': {found}.*numbers from 0 upwards"):
        run(table, weight="w")


@pytest.mark.parametrize("unit", [3e38, 1e39, 1e-50])
def test_only_the_proportions_of_weights_count(unit):
    plain, scaled = (
        run(TABLE | {"w": [k * factor for k in range(1, ROWS + 1)]}, weight="w").bundle.model.state_dict()
        for factor in (1.0, unit)
    )
    for key, value in plain.items():
        torch.testing.assert_close(scaled[key], value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"device": "cpu:7"}, "no device is called"),
        ({"train": {"precision": "float16"}, "device": "cpu"}, "float16 needs a CUDA device"),
        ({"train": {"early_stopping": {"metric": "acuracy"}}}, "Did you mean 'accuracy'"),
        ({"split": {"test": 0.2, "validation": 0.2}, "target": "same"}, "one class only"),
        ({"target": "size", "bad_cells": "error", "columns": {"label": {"modality": "category"}}, "odd": 1}, "'cheap'"),
    ],
)
def test_what_is_wrong_with_the_settings_or_the_target_is_said_before_cells_are_read(monkeypatch, config, words):
    monkeypatch.setattr("polymodal.pipeline.problem.prepare", lambda *_, **__: pytest.fail("read the cells"))
    table = TABLE | {"same": ["a"] * ROWS}
    if config.pop("odd", None):
        table["size"] = [*map(str, TABLE["size"][:-1]), "cheap"]
    with pytest.raises((ConfigError, DataError), match=words):
        run(table, **config)


def test_a_column_that_is_called_as_a_group_has_a_baseline_of_its_own():
    words = [f"{label} word {row}" for row, label in enumerate(TABLE["label"])]
    bundle = run(TABLE | {"table": words}, columns={"table": {"modality": "text"}}).bundle
    assert list(bundle.metrics.baselines.linear_by_input) == [i.name for i in bundle.schema.inputs]


@pytest.mark.parametrize("name", ["size", "table"])
def test_the_configuration_that_a_run_writes_repeats_it(name):
    table = {name: TABLE["size"], "label": TABLE["label"], "side": SIDES}
    first = train(table, make(SMALL)).bundle
    again = train(table, RunConfig.model_validate(first.config.model_dump(mode="json"))).bundle
    assert again.config == first.config
    assert (again.schema.inputs, again.schema.target) == (first.schema.inputs, first.schema.target)
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key])


@pytest.mark.parametrize("stage", ["intermediate", "late"])
def test_a_last_training_that_fails_leaves_the_model_of_the_first(monkeypatch, stage):
    table = TABLE | {"size": [float(label == "a") for label in TABLE["label"]], "word": ["x", "y"] * (ROWS // 2)}
    learning = {"epochs": 60, "batch_size": 4, "augment": False}
    fused = {"stage": stage, "fusion": "average"}
    kept = run(table, train={**learning, "final": "best"}, **fused)
    assert kept.bundle.metrics.test["accuracy"].value == 1

    def lazy(model, learn, check, *, plan, callbacks):
        if check is None:  # it forgets everything, is sure of what is wrong, and learns next to nothing
            for parameter in model.parameters():
                torch.nn.init.normal_(parameter, std=5.0)
            still = plan.train.optimizer.model_copy(update={"lr": 1e-9})
            plan = replace(plan, train=plan.train.model_copy(update={"optimizer": still}))
        return fit(model, learn, check, plan=plan, callbacks=callbacks)

    monkeypatch.setattr("polymodal.pipeline.trainer.fit", lazy)
    found = run(table, train=learning, **fused)
    assert found.refit is None
    assert any("The last training, with the validation rows, failed: log_loss" in note for note in found.notes)
    for name, value in kept.bundle.model.state_dict().items():
        assert torch.equal(value, found.bundle.model.state_dict()[name]), name


def history(*metrics: float) -> History:
    records = [EpochRecord(k, 0.0, metric, {}, 1.0, 1.0, 0.1) for k, metric in enumerate(metrics, start=1)]
    return History(records, best_epoch=len(records))


@pytest.mark.parametrize(
    ("first", "last", "metric", "fails"),
    [
        ((1.15, 0.79), 1.09, "log_loss", True),
        ((1.23, 0.59), 0.61, "log_loss", False),
        ((2.3, 0.02), 0.03, "log_loss", False),  # half as much again, of next to nothing
        ((0.5, 0.9), 0.6, "accuracy", True),
        ((0.5, 0.9), 0.88, "accuracy", False),
        ((0.8,), 0.9, "log_loss", False),
    ],
)
def test_what_counts_as_a_failure_of_the_last_training(first, last, metric, fails):
    greater = metric == "accuracy"
    said = failure({"train": history(*first)}, {"refit": history(last)}, metric, greater_is_better=greater)
    assert (said is not None) == fails
