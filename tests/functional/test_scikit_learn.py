"""The estimators as scikit-learn's own tools use them."""

import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from copy import deepcopy
from xml.etree import ElementTree

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

import polymodal as pm
from polymodal.errors import DamagedBundleError
from polymodal.estimators.html import summary

WEIGHTS = (
    "A weight scales the loss of a row, a repeated row also enters more batches, draws other noise and is found among "
    "the validation rows: training by batches with early stopping makes the two alike, not equal."
)
SUBSETS = (
    "A row's result differs by float32 rounding (about 3e-7) with the number of rows beside it, for matrix products "
    "add in another order; the check wants 1e-7. The contract tests hold every part to 1e-5."
)
NOT_AN_ARRAY = (
    "The check rounds its numbers. Few whole numbers in an array are numbers; in a DataFrame they are what the cells "
    "say, which is a category: that is documented, and columns={...} overrides it."
)
EXPECTED_FAILED_CHECKS = {
    pm.Classifier: {
        "check_sample_weight_equivalence_on_dense_data": WEIGHTS,
        "check_methods_subset_invariance": SUBSETS,
    },
    pm.Regressor: {
        "check_sample_weight_equivalence_on_dense_data": WEIGHTS,
        "check_methods_subset_invariance": SUBSETS,
        "check_regressor_data_not_an_array": NOT_AN_ARRAY,
    },
}
ROWS = 48
RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=ROWS)
X = pd.DataFrame({"size": SIZE, "colour": RNG.choice(["red", "blue", "<b>green</b>"], ROWS)})
KIND = pd.Series(np.where(SIZE > 0, "large", "small"), name="kind")
PRICE = pd.Series(3 * SIZE + 10, name="price")
SMALL = {"encoders": {"table": {"width": 16, "layers": 1}}, "fusion": {"width": 16}, "train": {"final": "best"}}


def small(estimator=pm.Classifier, **params):
    return estimator(**{"epochs": 4, "lr": 0.02, "config": SMALL, **params})


@pytest.fixture(scope="module")
def classifier():
    return small().fit(X, KIND)


CHECK = """
import json, sys, time, warnings
import polymodal as pm
from sklearn.utils.estimator_checks import check_estimator

warnings.simplefilter("ignore")  # classes of one row and the like, which the checks bring
estimator, expected = getattr(pm, sys.argv[1])(), json.loads(sys.argv[2])
found = check_estimator(estimator, expected_failed_checks=expected, on_fail=None, on_skip=None)
lines = [(result["status"], result["check_name"], str(result["exception"])[:300]) for result in found]
print(json.dumps({"seconds": time.process_time(), "lines": lines}))
"""


@pytest.mark.parametrize("estimator", [pm.Classifier, pm.Regressor])
def test_check_estimator(estimator, capsys):
    expected = EXPECTED_FAILED_CHECKS[estimator]
    assert len(expected) <= 3
    # In a process as users have it: under test, types of arguments are checked that the estimators check in fit.
    words = [sys.executable, "-c", CHECK, estimator.__name__, json.dumps(expected)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    report = json.loads(done.stdout.splitlines()[-1])
    counts = Counter(status for status, _, _ in report["lines"])
    with capsys.disabled():
        print(f"\n{estimator.__name__}(): {dict(counts)} in {report['seconds']:.0f} s of CPU")
        for status, check, error in report["lines"]:
            if status != "passed":
                print(f"  {status} {check}: {expected.get(check, error)}")
    assert [line for line in report["lines"] if line[0] == "failed"] == []
    assert counts["passed"] >= 50


def test_cross_validation_scores_and_predicts():
    scores = cross_val_score(small(epochs=8), X, KIND, cv=3, error_score="raise")
    assert scores.shape == (3,)
    assert scores.mean() > 0.7
    errors = cross_val_score(
        small(pm.Regressor), X, PRICE, cv=2, scoring="neg_mean_absolute_error", error_score="raise"
    )
    assert (errors < 0).all()
    found = cross_val_predict(small(), X, KIND, cv=2, method="predict_proba")
    assert found.shape == (ROWS, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_pipeline_hands_on_tables_parameters_and_weights():
    def doubled(table):
        return table.assign(twice=2 * table["size"])

    pipeline = Pipeline([("doubled", FunctionTransformer(doubled)), ("model", small())])
    pipeline.set_params(**{"model__epochs": 2, "model__train.batch_size": 8})
    pipeline.fit(X, KIND, model__sample_weight=np.ones(ROWS))
    model = pipeline.named_steps["model"]
    assert model.feature_names_in_.tolist() == ["size", "colour", "twice"]
    assert (len(model.history_.epochs), model.bundle_.config.train.batch_size) == (2, 8)
    assert pipeline.predict(X).shape == (ROWS,)
    assert 0 <= pipeline.score(X, KIND) <= 1
    copied = clone(pipeline)
    assert copied.get_params()["model__train.batch_size"] == 8
    assert not hasattr(copied.named_steps["model"], "bundle_")


def test_a_grid_reaches_through_a_pipeline_and_the_best_is_kept():
    pipeline = Pipeline([("model", small(epochs=1))])
    grid = {"model__lr": [1e-6, 0.05], "model__train.batch_size": [8]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, KIND)
    assert len(search.cv_results_["params"]) == 2
    assert (
        search.best_estimator_.named_steps["model"].bundle_.config.train.optimizer.lr
        == search.best_params_["model__lr"]
    )


def _through_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib", compress=3)
    return joblib.load(folder / "model.joblib")


@pytest.mark.parametrize(
    "copy",
    [lambda model, _: pickle.loads(pickle.dumps(model)), lambda model, _: deepcopy(model), _through_joblib],
    ids=["pickle", "deepcopy", "joblib"],
)
def test_copies_predict_the_same_and_hold_the_model_as_a_bundle(classifier, tmp_path, copy):
    again = copy(classifier, tmp_path)
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    assert again.get_params() == classifier.get_params()
    assert again.bundle_.config == classifier.bundle_.config


def test_a_pickle_holds_bundle_bytes_and_no_module(classifier):
    data = pickle.dumps(classifier)
    assert b"polymodal bundle" in data
    for name in (b"polymodal.model", b"polymodal.encoders", b"torch"):
        assert name not in data
    spoiled = bytearray(data)
    spoiled[data.index(b"polymodal bundle") + 2000] ^= 1
    with pytest.raises(DamagedBundleError):
        pickle.loads(bytes(spoiled))


def test_a_notebook_shows_parameters_and_of_a_fitted_model_what_it_is(classifier):
    plain = small().set_params(**{"train.batch_size": 8})._repr_html_()
    assert "batch_size" in plain
    assert "Inputs" not in plain
    model = small(epochs=1).fit(X.rename(columns={"colour": "<script>alert(1)</script>"}), KIND)
    page = model._repr_html_()
    text = " ".join(ElementTree.fromstring(summary(model.bundle_)).itertext())
    assert summary(model.bundle_) in page
    for word in ("Inputs", "table", "mlp", "Metrics on validation rows", "accuracy", "log_loss", "kind"):
        assert word in text
    assert "<script>alert" not in page
    assert model._repr_mimebundle_()["text/html"].count("<table>") == page.count("<table>")
    assert Pipeline([("model", classifier)])._repr_html_()
