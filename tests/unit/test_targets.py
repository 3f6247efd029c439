"""What is predicted: one column, several, lists of labels, classes in an order; from configuration to result."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import polymodal as pm
from polymodal.bundles import bundle as bundles
from polymodal.config.run_config import RunConfig, make, read, write
from polymodal.errors import ColumnError, ConfigError, DataError
from polymodal.inference.predictor import predict
from polymodal.metrics.direction import greater_is_better
from polymodal.pipeline.choices import choose_task
from polymodal.pipeline.run import train
from polymodal.tasks.regress import Regress
from polymodal.tasks.tag import Tag

ROWS = 60
RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=ROWS)
SMALL = {"encoders": {"table": {"width": 8, "layers": 1}}, "fusion": {"name": "concat", "width": 8}}
QUICK = SMALL | {"train": {"epochs": 2, "final": "best"}}
NUMBERS = {
    "size": SIZE.tolist(),
    "weight": [None if row % 7 == 0 else 3 * x + 100 for row, x in enumerate(SIZE)],
    "height": [None if row in (0, 5) else 1000 * x for row, x in enumerate(SIZE)],
}
TAGS = {"size": SIZE.tolist(), "tags": [["big"] * int(x > 0) + ["odd"] * (row % 2) for row, x in enumerate(SIZE)]}


@pytest.fixture(scope="module")
def several():
    return train(NUMBERS, make({"target": ["weight", "height"], **QUICK}))


@pytest.fixture(scope="module")
def tagged():
    return train(TAGS, make({"target": "tags", **QUICK}))


def test_a_list_of_one_is_one_and_yaml_keeps_several(tmp_path):
    assert make({"target": ["a"]}).target == "a"
    assert (RunConfig().targets, make({"target": "a"}).targets) == ((), ("a",))
    config = make({"target": ["a", "b"]})
    write(config, tmp_path / "run.yaml")
    assert read(tmp_path / "run.yaml") == config
    assert config.targets == ("a", "b")


@pytest.mark.parametrize(("target", "words"), [(["a", "a"], "names a column twice"), ([], "names no column")])
def test_a_list_that_cannot_be(target, words):
    with pytest.raises(ConfigError, match=words):
        make({"target": target})


def test_several_targets_are_one_task_and_give_a_column_each(several):
    schema = several.bundle.schema
    assert (schema.target.columns, schema.target.task) == (("weight", "height"), "regress")
    assert [column.name for column in schema.features()] == ["size"]
    predictions = predict(several.bundle, {"size": [0.0, 1.0]})
    assert list(predictions.columns) == ["prediction_weight", "prediction_height"]
    assert several.bundle.metrics.rows.unlabelled == 1  # the row that has neither
    assert {"rmse", "rmse_weight", "rmse_height"} <= several.bundle.metrics.test.keys()
    assert several.bundle.metrics.baselines.reports["linear"]["r2"].value > 0.99
    assert several.bundle.metrics.baselines.reports["mean"]["rmse_height"].value > 300
    assert "weight, height" in several.bundle.card


@pytest.mark.parametrize("name", ["several", "tagged"])
def test_a_bundle_keeps_it(name, request, tmp_path):
    run = request.getfixturevalue(name)
    bundles.save(run.bundle, tmp_path / "bundle")
    loaded = bundles.load(tmp_path / "bundle")
    assert loaded.schema.target == run.bundle.schema.target
    rows = {"size": SIZE[:9].tolist()}
    found, expected = (predict(bundle, rows).prediction for bundle in (loaded, run.bundle))
    np.testing.assert_array_equal(found.values, expected.values)


def test_words_are_no_target_among_several():
    table = NUMBERS | {"kind": ["a", "b"] * (ROWS // 2)}
    with pytest.raises(DataError, match=r"target column 'weight, kind'.*Several targets must be columns of numbers"):
        train(table, make({"target": ["weight", "kind"]}))
    with pytest.raises(ConfigError, match="'classify' does not predict the columns weight, kind together"):
        train(table, make({"target": ["weight", "kind"], "task": "classify"}))


def test_a_column_of_several_can_be_absent_or_dropped():
    with pytest.raises(ColumnError, match="heigth"):
        train(NUMBERS, make({"target": ["weight", "heigth"]}))
    with pytest.raises(ColumnError, match="'height' is the target and in drop"):
        train(NUMBERS, make({"target": ["weight", "height"], "drop": ["height"]}))


def test_lists_of_labels_are_tagged(tagged):
    assert tagged.bundle.schema.target.task == "tag"
    assert list(tagged.bundle.task.labels) == ["big", "odd"]
    assert tagged.bundle.metrics.baselines.reports["prevalence"]["macro_roc_auc"].value == 0.5
    assert tagged.bundle.metrics.baselines.reports["linear"]["macro_average_precision"].value > 0.6
    assert tagged.bundle.metrics.rows.unlabelled == 0


def test_predicted_labels_are_written_as_text(tagged, tmp_path):
    predictions = predict(tagged.bundle, {"size": [3.0, -3.0]})
    for ending in (".csv", ".parquet", ".jsonl"):
        predictions.write(tmp_path / f"out{ending}")
    written = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert list(written.columns) == ["prediction", "p_big", "p_odd", "status"]
    assert written["prediction"].tolist() == pd.read_parquet(tmp_path / "out.parquet")["prediction"].tolist()


def test_labels_left_out_are_said():
    run = train(TAGS | {"tags": [*TAGS["tags"][:-4], *[["rare"]] * 4]}, make({"target": "tags", **QUICK}))
    assert any("1 of 3 labels left out" in note for note in run.notes)
    assert run.bundle.metrics.warnings == run.notes


def test_an_order_is_learned_where_it_is_said():
    grades = np.array(["low", "mid", "high"])[np.digitize(SIZE, [-0.5, 0.5])].tolist()
    table = {"size": SIZE.tolist(), "grade": grades}
    task = {"name": "ordinal", "order": ["low", "mid", "high"]}
    run = train(table, make({"target": "grade", "task": task, **SMALL, "train": {"epochs": 15}}))
    assert run.bundle.metrics.test["quadratic_weighted_kappa"].value > 0.5
    assert {"majority", "linear"} <= run.bundle.metrics.baselines.reports.keys()
    assert choose_task(grades, make({"target": "grade"})).name == "classify"


def test_directions_of_the_metrics_of_one_of_several():
    assert greater_is_better(Regress.greater_is_better, "r2_height")
    assert not greater_is_better(Regress.greater_is_better, "rmse_height")
    assert greater_is_better(Tag.greater_is_better, "macro_average_precision")


def frame() -> pd.DataFrame:
    return pd.DataFrame({"weight": 3 * SIZE + 100, "height": 1000 * SIZE})


def test_a_regressor_of_several_targets_by_name_by_frame_and_by_array():
    y = frame()
    by_name = pm.Regressor(config=QUICK).fit(y.assign(size=SIZE), y=["weight", "height"])
    X = pd.DataFrame({"size": SIZE})
    by_frame = pm.Regressor(config=QUICK).fit(X, y)
    by_array = pm.Regressor(config=QUICK).fit(X, y.to_numpy())
    assert by_frame.predict(X).shape == (ROWS, 2)
    np.testing.assert_array_equal(by_name.predict(X), by_frame.predict(X))
    np.testing.assert_array_equal(by_array.predict(X), by_frame.predict(X))
    assert by_array.bundle_.config.targets == ("y_1", "y_2")
    assert by_name.n_features_in_ == 1
    from sklearn.metrics import r2_score

    for model, truth in ((by_frame, y), (by_array, y.to_numpy())):
        assert model.score(X, truth) == pytest.approx(r2_score(y, model.predict(X)), abs=1e-4)
    assert by_name.evaluate(y.assign(size=SIZE))["rmse_height"] == by_frame.evaluate(X, y)["rmse_height"]
    with pytest.raises(ValueError, match="2 targets weight, height"):
        by_name.score(X, SIZE)


def test_a_classifier_of_lists_gives_lists(tmp_path):
    X = pd.DataFrame({"size": SIZE})
    model = pm.Classifier(config=SMALL, epochs=15).fit(X, TAGS["tags"])
    assert model.classes_.tolist() == ["big", "odd"]
    assert model.predict_proba(X).shape == (ROWS, 2)
    chosen = model.predict(X)
    assert [("big" in labels) for labels in chosen] == (model.predict_proba(X)[:, 0] >= 0.5).tolist()
    evaluated = model.evaluate(X, TAGS["tags"])["macro_average_precision"]["value"]
    assert model.score(X, TAGS["tags"]) == pytest.approx(evaluated)
    model.save(tmp_path / "bundle")
    assert pm.load(tmp_path / "bundle").predict(X).tolist() == chosen.tolist()


def test_a_classifier_in_order():
    X, y = pd.DataFrame({"size": SIZE}), np.digitize(SIZE, [-0.5, 0.5])
    model = pm.Classifier(config={**SMALL, "task": "ordinal"}, epochs=10).fit(X, y)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.bundle_.schema.target.task == "ordinal"
    assert model.score(X, y) == pytest.approx(float((model.predict(X) == y).mean()))
