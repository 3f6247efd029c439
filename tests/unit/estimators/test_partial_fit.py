"""Estimators that learn row by row: by scikit-learn's conventions, with rows that are learned from again."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import polymodal as pm
from polymodal.errors import ConfigError, DataError
from polymodal.metrics.results import UpdateRows

SMALL = {
    "columns": {"words": {"modality": "text"}, "size": {"modality": "number"}},
    "encoders": {"table": {"width": 8, "layers": 1}, "text": {"name": "bag", "width": 8}},
    "fusion": {"name": "concat", "width": 8},
    "train": {"final": "best"},
}


def rows(count, classes, seed):
    rng = np.random.default_rng(seed)
    label = rng.choice(classes, count)
    words = [f"{('red', 'green', 'blue')[k]} {rng.integers(5)}" for k in label]
    return {"words": words, "size": (label + 0.3 * rng.normal(size=count)).tolist()}, [f"c{k}" for k in label]


def classifier(**settings):
    return pm.Classifier(epochs=8, lr=0.02, config=SMALL).set_params(**settings)


def test_a_class_that_was_announced_is_learned_later_and_the_others_are_kept():
    X, y = rows(60, (0, 1), 0)
    keen = {"update.lr": 0.02, "update.epochs": 10}
    model = classifier(**keen).partial_fit(X, y, classes=["c0", "c1", "c2"])
    assert model.classes_.tolist() == ["c0", "c1", "c2"]
    everything = rows(150, (0, 1, 2), 1)
    before = model.score(*everything)
    X, y = rows(60, (2,), 2)
    assert model.partial_fit(X, y) is model
    assert model.score(*everything) > max(0.8, before + 0.2)
    (entry,) = model.bundle_.metrics.updates
    assert (entry.rows, entry.times) == (UpdateRows(learned=60, replayed=60), 1)
    model.partial_fit(X, y, classes=["c2", "c1", "c0"])
    (entry,) = model.bundle_.metrics.updates
    assert (entry.rows, entry.times) == (UpdateRows(learned=120, replayed=180), 2)


def test_the_first_call_is_fit():
    X, y = rows(50, (0, 1), 0)
    one, other = classifier().partial_fit(X, y), classifier().fit(X, y)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.bundle_.config == other.bundle_.config and len(one.history_.epochs) == 8


def test_rows_are_kept_until_fit_and_go_nowhere_else(tmp_path):
    X, y = rows(50, (0, 1), 0)
    model = classifier(**{"update.memory": 20}).partial_fit({**X, "words": [f"secret {k}" for k in range(50)]}, y)
    assert len(model._memory) == 20
    model.partial_fit(*rows(30, (0, 1), 1))
    assert len(model._memory) == 20
    assert model.bundle_.metrics.updates[0].rows.replayed == 20
    assert model._memory.rows()[0].table.names == ("words", "size")
    copy = pickle.loads(pickle.dumps(model))
    assert copy._memory is None
    copy.partial_fit(*rows(30, (0, 1), 1))
    assert copy.bundle_.metrics.updates[0].rows.model_dump() == {"learned": 60, "replayed": 20}
    model.save(tmp_path / "bundle")
    loaded = pm.load(tmp_path / "bundle").partial_fit(*rows(20, (0, 1), 2))
    assert len(loaded._memory) == 20
    model.fit(X, y)
    assert model._memory is None and "updates" not in model.bundle_.metrics.model_dump()


def test_settings_of_the_update_may_change_between_calls():
    X, y = rows(50, (0, 1), 0)
    model = classifier().partial_fit(X, y)
    weights = {name: value.clone() for name, value in model.bundle_.model.state_dict().items()}
    model.set_params(**{"update.epochs": 2, "update.replay": 0.5}).partial_fit(*rows(40, (0, 1), 3))
    (entry,) = model.bundle_.metrics.updates
    assert (entry.settings["epochs"], entry.rows.replayed) == (2, 20)
    assert any((value != weights[name]).any() for name, value in model.bundle_.model.state_dict().items())
    with pytest.raises(ConfigError, match=r"update\.epoch'.*'epochs'"):
        model.set_params(**{"update.epoch": 2})


def test_wrong_classes_and_columns_are_refused():
    X, y = rows(50, (0, 1), 0)
    model = classifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="not those of the first call of partial_fit: c0, c1"):
        model.partial_fit(X, y, classes=["c0", "c1", "c2"])
    with pytest.raises(DataError, match=r"'c7'.*knows c0, c1.*train again"):
        model.partial_fit(X, ["c7"] * 50)
    with pytest.raises(pm.PolymodalError, match="no column 'words'"):
        model.partial_fit({"size": X["size"]}, y)
    with pytest.raises(DataError, match=r"'c1', which task\.classes lacks"):
        classifier().partial_fit(X, y, classes=["c0", "c2"])
    with pytest.raises(ValueError, match="classes are for tasks that take them"):
        classifier().partial_fit(X, [["a", "b"], ["b"]] * 25, classes=["a", "b"])


def test_a_regressor_learns_on_with_weights_that_only_some_calls_have():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    y = X @ [2.0, -1.0]
    model = pm.Regressor(epochs=10, lr=0.02, config={"fusion": {"width": 8}}).partial_fit(
        X, y, sample_weight=np.ones(80)
    )
    new = rng.normal(size=(80, 2)) + 4
    before = model.score(new, new @ [2.0, -1.0])
    for weight in (None, np.full(80, 3.0)):
        model.partial_fit(new, new @ [2.0, -1.0], sample_weight=weight)
    assert model.score(new, new @ [2.0, -1.0]) > before
    with pytest.raises(ValueError, match="X has 1 features, but Regressor is expecting 2 features"):
        model.partial_fit(new[:, :1], y)


def test_subsets_are_measured_from_python():
    X, y = rows(60, (0, 1, 2), 0)
    found = classifier().fit(X, y).evaluate_subsets(X, y)
    assert [line["inputs"] for line in found["subsets"]] == [["table", "words"], ["table"], ["words"]]
    assert found["masked"][-1]["rate"] == 1
