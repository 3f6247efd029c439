import pickle
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV

import polymodal as pm
from polymodal.config.run_config import make, write
from polymodal.errors import BundleError, ColumnError, ConfigError, DataError
from polymodal.inference.predictor import Predictor

ROWS = 60
RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=ROWS)
FRAME = pd.DataFrame(
    {
        "size": SIZE,
        "colour": RNG.choice(["red", "blue", "green"], ROWS),
        "kind": np.where(SIZE > 0, "large", "small"),
        "price": 3 * SIZE + 10,
    }
)
X, KIND, PRICE = FRAME[["size", "colour"]], FRAME["kind"], FRAME["price"]
SMALL = {"encoders": {"table": {"width": 16, "layers": 1}}, "fusion": {"width": 16}}


def small(estimator=pm.Classifier, **params):
    return estimator(**{"epochs": 3, "config": SMALL, **params})


@pytest.fixture(scope="module")
def classifier():
    return small(epochs=12).fit(X, KIND)


@pytest.fixture(scope="module")
def regressor():
    return small(pm.Regressor, epochs=12).fit(X, PRICE)


def test_y_as_a_name_as_a_series_and_from_the_configuration_are_the_same(classifier):
    expected = classifier.predict_proba(X)
    table = FRAME.drop(columns="price")
    by_name = small(epochs=12).fit(table, y="kind")
    by_config = small(epochs=12, config={**SMALL, "target": "kind"}).fit(table)
    for other in (by_name, by_config):
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        np.testing.assert_array_equal(other.predict_proba(FRAME), expected)  # the target in X changes nothing


def test_probabilities_and_labels_agree(classifier):
    probabilities = classifier.predict_proba(X)
    assert classifier.classes_.tolist() == ["large", "small"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert classifier.predict(X).tolist() == classifier.classes_[probabilities.argmax(axis=1)].tolist()
    assert accuracy_score(KIND, classifier.predict(X)) > 0.9


@pytest.mark.parametrize("labels", [[3, 7], [False, True], [0.0, 1.0], ["no", "yes"]])
def test_labels_keep_their_type(labels):
    y = np.array(labels)[(SIZE > 0).astype(int)]
    model = small().fit(X, y)
    assert model.classes_.tolist() == labels
    assert model.predict(X).dtype == y.dtype
    assert set(model.predict(X).tolist()) <= set(labels)


@pytest.mark.parametrize("weight", [None, np.arange(ROWS)])
def test_scores_are_those_of_scikit_learn(classifier, regressor, weight):
    expected = accuracy_score(KIND, classifier.predict(X), sample_weight=weight)
    assert classifier.score(X, KIND, sample_weight=weight) == pytest.approx(expected)
    expected = r2_score(PRICE, regressor.predict(X), sample_weight=weight)
    assert regressor.score(X, PRICE, sample_weight=weight) == pytest.approx(expected, rel=1e-5)
    assert expected > 0.5


def test_weights_for_a_score_are_one_a_row(classifier, regressor):
    for model, truth in ((classifier, KIND), (regressor, PRICE)):
        with pytest.raises(ValueError, match=rf"sample_weight has the shape \(5,\); .* {ROWS} rows"):
            model.score(X, truth, sample_weight=np.ones(5))


def test_a_row_without_target_does_not_count_and_a_new_class_is_wrong(classifier):
    y = classifier.predict(X).astype(object)
    assert classifier.score(X, y) == 1
    y[0], y[1] = None, "giant"
    assert classifier.score(X, y) == pytest.approx((ROWS - 2) / (ROWS - 1))
    with pytest.raises(DataError, match="no cell of the target 'kind' holds a value that the model knows"):
        classifier.score(X, ["giant"] * ROWS)


def test_predicting_builds_what_depends_on_the_model_alone_once_and_leaves_the_estimator_as_it_is(monkeypatch):
    model = small(epochs=1).fit(X, KIND)
    made, init = [], Predictor.__init__

    def counted(self, bundle, device):
        made.append((bundle, device))
        init(self, bundle, device)

    monkeypatch.setattr(Predictor, "__init__", counted)
    before = dict(vars(model))
    model.predict(X), model.predict_proba(X), model.score(X, KIND), model.evaluate(FRAME)
    assert [device for _, device in made] == ["auto"] and made[0][0] is model.bundle_
    assert vars(model) == before
    model.set_params(device="cpu").predict(X)
    model.fit(X[:40], KIND[:40])
    np.testing.assert_array_equal(model.predict(X), deepcopy(model).predict(X))
    assert [bundle is model.bundle_ for bundle, _ in made] == [False, False, True, False]


@pytest.mark.parametrize("several", [False, True])
def test_an_estimator_takes_any_task_that_is_named(several):
    names = ["price", "size"] if several else ["price"]
    table = FRAME[["colour", *names]].assign(twice=2 * SIZE)
    config = {**SMALL, "task": {"name": "regress"}}
    model = pm.Estimator(epochs=8, config=config).fit(table, y=names if several else "price")
    expected = pm.Regressor(epochs=8, config=SMALL).fit(table, y=names if several else "price")
    assert model.predict(table).shape == ((ROWS, 2) if several else (ROWS,))
    np.testing.assert_array_equal(model.predict(table), expected.predict(table))
    assert model.score(table) == expected.score(table)
    grades = np.digitize(SIZE, [-0.5, 0.5])
    ordinal = pm.Estimator(epochs=2, config={**SMALL, "task": {"name": "ordinal"}}).fit(X, grades)
    assert set(ordinal.predict(X).tolist()) <= {0, 1, 2}
    with pytest.raises(ValueError, match="requires y to be passed"):
        pm.Estimator(config={"task": {"name": "ordinal"}}).fit(X)


def test_a_task_without_a_target_needs_no_y(tmp_path):
    sides = {"name": "match", "sides": {"left": ["size"], "right": ["price"]}}
    columns = {name: {"modality": "number"} for name in ("size", "price")}
    model = pm.Estimator(epochs=2, columns=columns, config={"task": sides}).fit(FRAME[["size", "price"]])
    report = model.evaluate(FRAME)
    assert report["recall_at_10"]["low"] <= report["recall_at_10"]["value"] == model.score(FRAME)
    model.save(tmp_path / "bundle")
    loaded = pm.load(tmp_path / "bundle")
    assert type(loaded) is pm.Estimator and loaded.evaluate(FRAME) == report


def test_evaluate_gives_intervals_and_finds_the_target_in_the_table(classifier, regressor):
    report = classifier.evaluate(FRAME)
    assert report == classifier.evaluate(X, KIND) == classifier.evaluate(FRAME, KIND)
    assert report["accuracy"]["value"] == pytest.approx(accuracy_score(KIND, classifier.predict(X)))
    assert report["accuracy"]["low"] <= report["accuracy"]["value"] <= report["accuracy"]["high"]
    assert regressor.evaluate(FRAME, "price")["r2"]["value"] == pytest.approx(regressor.score(FRAME), rel=1e-6)
    with pytest.raises(ColumnError, match="no column 'kind'"):
        classifier.evaluate(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier.evaluate(X, KIND[:5])


def test_all_rows_are_learned_from_unless_the_configuration_keeps_some(classifier, tmp_path):
    rows = classifier.bundle_.metrics.rows
    assert (rows.train + rows.validation, rows.test) == (ROWS, 0)
    assert rows.validation == round(0.15 * ROWS)
    write(make({**SMALL, "split": {"test": 0.25}}), tmp_path / "run.yaml")
    for config in (make({"split": {"test": 0.25}}), {"split": {"test": 0.25}}, str(tmp_path / "run.yaml")):
        assert small(epochs=1, config=config).fit(X, KIND).bundle_.metrics.rows.test == 15


def test_columns_of_an_array_are_numbers():
    array = np.column_stack([np.arange(ROWS), np.ones(ROWS), SIZE, np.where(SIZE > 1, np.nan, SIZE)])
    model = small(pm.Regressor).fit(array, PRICE.to_numpy())
    assert {column.modality for column in model.bundle_.schema.features()} == {"number"}
    assert [column.name for column in model.bundle_.schema.features()] == ["x0", "x1", "x2", "x3"]
    assert model.n_features_in_ == 4
    assert not hasattr(model, "feature_names_in_")
    np.testing.assert_array_equal(model.predict(array.tolist()), model.predict(torch.tensor(array)))
    with pytest.raises(ValueError, match="X has 2 features, but Regressor is expecting 4"):
        model.predict(array[:, :2])
    with pytest.raises(ValueError, match="Reshape your data"):
        model.predict(array[0])


def test_what_was_seen_in_fit(classifier):
    assert classifier.feature_names_in_.tolist() == ["size", "colour"]
    assert classifier.n_features_in_ == 2
    assert classifier.history_.best_epoch == classifier.bundle_.metrics.best_epoch
    bad = FRAME.assign(size=["big", *SIZE[1:]])
    model = small(epochs=1, columns={"size": {"modality": "number"}}).fit(bad, "kind")
    assert [(reject.row, reject.column) for reject in model.rejects_] == [(0, "size")]


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "evaluate"])
def test_not_fitted(method):
    with pytest.raises(NotFittedError, match="Classifier is not fitted"):
        getattr(pm.Classifier(), method)(FRAME)
    assert not hasattr(pm.Classifier(), "classes_")
    assert not hasattr(pm.Classifier(), "n_features_in_")


def test_any_path_of_the_configuration_is_a_parameter():
    model = small(fusion="concat").set_params(
        **{"train.optimizer.weight_decay": 0.01, "fusion.width": 8, "bad_cells": "error"}
    )
    params = model.get_params()
    assert params["train.optimizer.weight_decay"] == 0.01
    copy = clone(model)
    assert copy.get_params() == params
    config = copy.fit(X, KIND).bundle_.config
    assert config.train.optimizer.weight_decay == 0.01
    assert config.fusion.settings["width"] == 8
    assert config.bad_cells == "error"
    assert clone(copy).get_params() == params


def test_one_setting_has_one_name():
    model = pm.Classifier(epochs=3, fusion="sum").set_params(**{"train.epochs": 5, "fusion.name": "max"})
    assert (model.epochs, model.fusion) == (5, "max")
    assert "train.epochs" not in model.get_params()
    assert model.set_params(epochs=4)._run_config().train.epochs == 4


def test_parameters_go_before_the_configuration():
    config = make({"seed": 5, "device": "cpu", "fusion": {"name": "sum", "width": 4}, "train": {"epochs": 9}})
    said = pm.Classifier(config=config)._run_config()
    assert (said.seed, said.device, said.fusion.name, said.train.epochs) == (5, "cpu", "sum", 9)
    said = pm.Classifier(config=config, seed=0, device="auto", fusion="max", lr=0.5)._run_config()
    assert (said.seed, said.device, said.fusion.name, said.fusion.settings) == (0, "auto", "max", {})
    assert (said.train.optimizer.lr, said.train.epochs) == (0.5, 9)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"epoch": 3}, "No parameter is called 'epoch'.*Did you mean 'epochs'"),
        ({"train.optimzer.lr": 3}, "unknown key 'train.optimzer'.*Did you mean 'optimizer'"),
        ({"train.batch_size": "many"}, "train.batch_size"),
    ],
)
def test_a_wrong_parameter_says_what_was_meant(params, message):
    with pytest.raises(ConfigError, match=message):
        pm.Classifier().set_params(**params)


def test_a_wrong_configuration_stops_before_the_data_are_read():
    with pytest.raises(ConfigError, match="Did you mean 'concat'"):
        pm.Classifier(fusion="concta").fit("absent.csv", "kind")
    with pytest.raises(ConfigError, match=r"it does 'classify'.*, not 'regress'"):
        pm.Classifier(config={"task": "regress"}).fit(X, KIND)
    with pytest.raises(ConfigError, match="unknown key 'epoch'"):
        pm.Classifier(config={"epoch": 3}).fit(X, KIND)


def test_a_target_that_cannot_be():
    with pytest.raises(ValueError, match="requires y to be passed"):
        pm.Classifier().fit(X)
    with pytest.raises(ColumnError, match="Did you mean 'kind'"):
        pm.Classifier().fit(FRAME, "knd")
    with pytest.raises(ColumnError, match="give the answer away"):
        pm.Classifier().fit(FRAME, KIND)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        pm.Classifier().fit(X, KIND[:5])
    with pytest.raises(DataError, match="Use Regressor for continuous"):
        pm.Classifier().fit(X, PRICE)
    with pytest.raises(DataError, match="one class only"):
        pm.Classifier().fit(X, ["a"] * ROWS)


def test_weights_as_an_array_and_as_a_column():
    weight = np.where(SIZE > 0, 1.0, 0.0)
    by_array = small().fit(X, KIND, sample_weight=weight)
    by_name = small().fit(X.assign(importance=weight), KIND, sample_weight="importance")
    np.testing.assert_array_equal(by_array.predict_proba(X), by_name.predict_proba(X))
    assert by_name.feature_names_in_.tolist() == ["size", "colour"]
    weighted, plain = by_array.predict_proba(X)[:, 0], small().fit(X, KIND).predict_proba(X)[:, 0]
    assert weighted.mean() > plain.mean() + 0.02  # only `large` rows count


@pytest.mark.parametrize("name", ["classifier", "regressor"])
def test_a_saved_estimator_comes_back(name, request, tmp_path):
    model = request.getfixturevalue(name)
    size = model.save(tmp_path / "bundle")
    assert size == sum(file.stat().st_size for file in (tmp_path / "bundle").rglob("*.*"))
    loaded = pm.load(tmp_path / "bundle")
    assert type(loaded) is type(model)
    for other in (loaded, pickle.loads(pickle.dumps(model)), deepcopy(model)):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        assert other.feature_names_in_.tolist() == model.feature_names_in_.tolist()
    again = clone(loaded).fit(FRAME.drop(columns={"kind", "price"} - {model._target.column}))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_nothing_comes_from_a_folder_without_a_bundle(tmp_path):
    with pytest.raises(BundleError):
        pm.load(tmp_path)


def test_the_callers_random_numbers_stay_what_they_were():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    small(epochs=1).fit(X, KIND)
    assert torch.equal(torch.rand(3), expected)


def test_grid_search_reaches_names_and_paths():
    grid = {"fusion": ["sum", "concat"], "train.optimizer.weight_decay": [0.0, 0.1]}
    search = GridSearchCV(small(epochs=1, config={}), grid, cv=2, error_score="raise").fit(X, KIND)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.bundle_.config.fusion.name == search.best_params_["fusion"]


def test_progress_is_shown_on_request(capsys):
    small(epochs=1).fit(X, KIND)
    assert capsys.readouterr().err == ""
    small(epochs=1, verbose=True).fit(X, KIND)
    assert "epoch 1/1" in capsys.readouterr().err
