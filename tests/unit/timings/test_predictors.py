"""Predictors that scikit-learn fits, as tensors: they say what scikit-learn says."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from polymodal.errors import ConfigError
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.tasks.tag import Tag, TagConfig
from polymodal.timings._predictors import Lessons, Predictor, check_predictor, fit_machine, machine_for
from polymodal.types import Tokens

ROWS, WIDTH = 60, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, WIDTH)) / np.sqrt(WIDTH)
CLASSES = np.argmax(X[:, :3] + 0.1 * RNG.normal(size=(ROWS, 3)), axis=1)
NUMBER = X @ RNG.normal(size=WIDTH) + 0.01 * RNG.normal(size=ROWS)
LABELS = (X[:, :3] > 0).astype(float)


def classify(num_classes: int = 3) -> Classify:
    names = [f"c{k}" for k in CLASSES if k < num_classes]
    return Classify(ClassifyConfig(), width=1, statistics=Classify.fit_target(names, column="y"))


def regress() -> Regress:
    return Regress(RegressConfig(), width=1, statistics=Regress.fit_target(list(NUMBER), column="y"))


def tag() -> Tag:
    config = TagConfig(min_count=1)
    values = [[f"l{k}" for k in range(3) if row[k]] for row in LABELS]
    return Tag(config, width=1, statistics=Tag.fit_target(values, column="y", config=config))


def fitted(name: str, head, target: np.ndarray, *, features: np.ndarray = X, scale: bool = False):
    machine = machine_for(Predictor(name), WIDTH, head)
    lessons = Lessons(
        features=features, target=target, weight=np.ones(len(target)), meaning=head.scores, scale=scale, seed=0
    )
    assert fit_machine(machine, Predictor(name), lessons)
    return machine


def scores(machine, features: np.ndarray = X) -> np.ndarray:
    return machine(Tokens.vector(torch.tensor(features, dtype=torch.float32))).scores.numpy()


def near(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_logistic_regression_gives_the_probabilities_of_scikit_learn(num_classes):
    rows = num_classes > CLASSES
    machine = fitted("logistic", classify(num_classes), CLASSES[rows], features=X[rows])
    own = LogisticRegression(C=20.0, max_iter=300).fit(X[rows], CLASSES[rows])
    near(torch.softmax(torch.tensor(scores(machine)), 1).numpy(), own.predict_proba(X))


def test_a_class_that_the_rows_lack_is_nearly_impossible():
    rows = CLASSES < 2
    machine = fitted("logistic", classify(3), CLASSES[rows], features=X[rows])
    found = torch.softmax(torch.tensor(scores(machine)), 1).numpy()
    assert found[:, 2].max() < 1e-3
    own = LogisticRegression(C=20.0, max_iter=300).fit(X[rows], CLASSES[rows]).predict_proba(X)
    np.testing.assert_allclose(found[:, :2] / found[:, :2].sum(axis=1, keepdims=True), own, rtol=1e-4, atol=1e-5)


def test_each_label_has_a_logistic_regression():
    machine = fitted("logistic", tag(), LABELS)
    own = [LogisticRegression(C=20.0, max_iter=300).fit(X, column).decision_function(X) for column in LABELS.T]
    near(scores(machine), np.stack(own, axis=1))


@pytest.mark.parametrize(("name", "own"), [
    ("ridge", Ridge(alpha=1.0)), ("svm", LinearSVR(C=1.0, random_state=0)), ("svm_rbf", SVR(C=10.0, gamma=1.0)),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_numbers_are_those_of_scikit_learn(name, own):
    near(scores(fitted(name, regress(), NUMBER))[:, 0], own.fit(X, NUMBER).predict(X))


@pytest.mark.parametrize(("name", "own"), [
    ("svm", LinearSVC(C=1.0, random_state=0)), ("svm_rbf", SVC(C=10.0, gamma=1.0)),
])  # fmt: skip
def test_decisions_of_a_machine_are_those_of_scikit_learn_against_the_rest(name, own):
    machine = fitted(name, classify(), CLASSES)
    found = machine.decide(torch.tensor(X, dtype=torch.float32)).numpy()
    for k in range(3):
        near(found[:, k], own.fit(X, np.where(k == CLASSES, 1.0, -1.0)).decision_function(X))


@pytest.mark.parametrize("name", ["ridge", "svm", "svm_rbf"])
def test_what_has_no_probabilities_gets_calibrated_ones(name):
    machine = fitted(name, classify(), CLASSES)
    found = torch.log_softmax(torch.tensor(scores(machine)), 1).numpy()
    loss = -found[np.arange(ROWS), CLASSES].mean()
    assert loss < 0.5 < np.log(3)
    assert (found.argmax(axis=1) == CLASSES).mean() > 0.85


def test_features_are_standardised_where_nobody_has_done_it():
    wild = X * [1, 100, 1e-3, 5, 1e4] + [0, 7, 0, 100, -3]
    own = LogisticRegression(C=20.0, max_iter=300)
    standardised = (wild - wild.mean(axis=0)) / wild.std(axis=0) / np.sqrt(WIDTH)
    found = scores(fitted("logistic", classify(), CLASSES, features=wild, scale=True), wild)
    expected = own.fit(standardised, CLASSES).predict_proba(standardised)
    np.testing.assert_allclose(torch.softmax(torch.tensor(found), 1).numpy(), expected, atol=1e-3)


def test_sparse_features_give_the_same():
    words = np.zeros((ROWS, 40))
    words[np.arange(ROWS), CLASSES] = 1.0
    head = classify()
    machine = machine_for(Predictor("logistic"), 40, head)
    assert fit_machine(
        machine, Predictor("logistic"), Lessons(words, CLASSES, np.ones(ROWS), "classes", scale=False, seed=0)
    )
    found = machine(Tokens.vector(torch.tensor(words, dtype=torch.float32))).scores
    own = LogisticRegression(C=20.0, max_iter=300).fit(words, CLASSES)
    np.testing.assert_allclose(torch.softmax(found, 1).numpy(), own.predict_proba(words), atol=1e-3)


def test_one_class_alone_is_nothing_to_learn_and_the_input_says_nothing():
    machine = machine_for(Predictor("logistic"), WIDTH, classify())
    lessons = Lessons(X[:4], np.zeros(4), np.ones(4), "classes", scale=False, seed=0)
    assert not fit_machine(machine, Predictor("logistic"), lessons)


def test_targets_that_are_missing_are_left_out_of_their_own_number_only():
    gaps = NUMBER.copy()
    gaps[::3] = np.nan
    near(
        scores(fitted("ridge", regress(), gaps))[:, 0],
        Ridge(alpha=1.0).fit(X[~np.isnan(gaps)], gaps[~np.isnan(gaps)]).predict(X),
    )


def test_support_vectors_come_back_from_a_state_of_any_size():
    machine = fitted("svm_rbf", classify(), CLASSES)
    empty = machine_for(Predictor("svm_rbf"), WIDTH, classify())
    empty.load_state_dict(machine.state_dict())
    assert np.array_equal(scores(empty), scores(machine))
    assert len(machine.support) <= ROWS


def test_rows_with_nothing_present_get_the_prior():
    machine = fitted("svm_rbf", classify(), CLASSES)
    tokens = Tokens.vector(torch.randn(2, WIDTH), torch.tensor([True, False]))
    prediction = machine(tokens)
    assert torch.equal(prediction.scores[1], machine.prior)
    assert not torch.equal(prediction.scores[0], machine.prior)


def test_solvers_that_stop_early_are_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted("svm", classify(), CLASSES, features=X * 1e3)


def test_logistic_regression_of_a_number_is_refused():
    with pytest.raises(ConfigError, match=r"the target is a number\. Use ridge"):
        check_predictor("timing.predictor", Predictor("logistic"), numbers=True)
