"""A comparison measures what `train` would train: on the same rows with the same statistics, and to the same scores."""

from __future__ import annotations

import numpy as np
import pytest

import polymodal.comparison.trial as trials
from polymodal.comparison.settings import subject
from polymodal.config.run_config import make
from polymodal.data.cells.reading import modality_of
from polymodal.metrics.rows import RowStatistics
from polymodal.pipeline.run import train

ROWS = 60
CONFIG = {
    "share": ["vector"],
    "encoders": {"vector": {"name": "mlp", "width": 8}, "table": {"width": 8}},
    "fusion": {"name": "concat", "width": 8},
    "clean": {"missing": "median"},
    "train": {"epochs": 2, "batch_size": 16, "final": "best"},
}


def cells():
    """Two columns of vectors on different scales: what is learned of both together is not what each gives by itself."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, ROWS)
    return {
        "front": (label[:, None] + rng.normal(size=(ROWS, 3))).tolist(),
        "side": (50 + 20 * rng.normal(size=(ROWS, 3)) - 9 * label[:, None]).tolist(),
        "size": [None if row % 9 == 0 else float(k + rng.normal()) for row, k in enumerate(label)],
        "label": [f"class {k}" for k in label],
    }


@pytest.fixture(scope="module")
def fold():
    about = subject(cells(), "label", make(CONFIG), folds=2, repeats=1, purpose="compare")
    return about.config, about.folds[1]


def statistics(schema):
    return {column.name: column.statistics for column in schema.features()}


def test_an_entry_has_the_scores_of_train(fold, tmp_path):
    config, on = fold
    trained = train(on.table, on.config(config), cache=tmp_path)
    tried = trials.run_trial(config, on, cache=tmp_path, make_callbacks=lambda *_: ())
    measured = trained.measured
    expected = RowStatistics.of(trained.bundle.task, measured.prediction, measured.target, measured.rows)
    assert np.array_equal(tried.scored.rows, trained.measured.rows)
    weights = np.eye(len(expected))  # row by row: every figure of each is that of the same scores
    for name, values in expected.metrics(weights).items():
        np.testing.assert_array_equal(tried.scored.metrics(weights)[name], values, err_msg=name)
    assert statistics(trained.bundle.schema)["front"] == statistics(trained.bundle.schema)["side"]


def test_baselines_of_columns_that_share_an_encoder_are_fitted_on_what_train_learns_of_them(
    fold, tmp_path, monkeypatch
):
    config, on = fold
    trained = train(on.table, on.config(config), cache=tmp_path)
    predict_baselines, seen = trials.predict_baselines, {}

    def watched(task, dataset, *, inputs, **how):
        seen.update({name: dataset.modalities[name] for columns in inputs.values() for name in columns})
        return predict_baselines(task, dataset, inputs=inputs, **how)

    monkeypatch.setattr(trials, "predict_baselines", watched)
    trials.run_baselines(config, on, cache=tmp_path)
    for column in trained.bundle.schema.features():
        learned = modality_of(column)
        arrays = [None, *(learned.read(cell) for cell in on.table.values(column.name) if cell is not None)]
        one, other = (modality.handcrafted_features(arrays) for modality in (learned, seen[column.name]))
        np.testing.assert_array_equal(one, other, err_msg=column.name)


def test_baselines_of_a_comparison_are_those_of_train(fold, tmp_path):
    """Those of train learn from its validation rows too where a last training does."""
    config, on = fold
    config = config.model_copy(update={"train": config.train.model_copy(update={"final": "refit"})})
    trained = train(on.table, on.config(config), cache=tmp_path)
    assert trained.refit is not None
    found = trials.run_baselines(config, on, cache=tmp_path)
    for name in ("majority", "linear"):
        report, scored = trained.bundle.metrics.baselines.reports[name], found[name].scored
        alone = scored.metrics(np.eye(len(scored.rows)))  # each row by itself
        assert report["accuracy"].value == np.mean(alone["accuracy"])
        assert report["log_loss"].value == pytest.approx(np.mean(alone["log_loss"]))
