"""Predictors that scikit-learn fits, as tensors: they say what scikit-learn says."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from played import Played, classify, encoded, regress, tag
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from polymodal.config.run_config import make
from polymodal.errors import ConfigError
from polymodal.models.decisions import Decisions
from polymodal.models.stage import stage_of
from polymodal.protocols import Task
from polymodal.types import Tokens

ROWS, WIDTH = 60, 5
RNG = np.random.default_rng(0)
X = (RNG.normal(size=(ROWS, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32).astype(np.float64)  # as the network sees it
CLASSES = np.argmax(X[:, :3] + 0.1 * RNG.normal(size=(ROWS, 3)), axis=1)
NUMBER = X @ RNG.normal(size=WIDTH) + 0.01 * RNG.normal(size=ROWS)
STANDARDISED = (NUMBER - NUMBER.mean()) / NUMBER.std()
LABELS = (X[:, :3] > 0).astype(float)
NAMES = [f"c{k}" for k in CLASSES]
PLAIN = {"name": "average", "project": False}
TAGS = [[f"l{k}" for k in range(3) if row[k]] for row in LABELS]


class Branch:
    """Late fusion of a single input, whose predictor scikit-learn fits.

    Args:
        name: of the predictor.
        task: fitted.
        values: of the target, one a row of the features.
        features: what the input's encoder gives.
        scale: nobody has standardised the features.
    """

    def __init__(
        self, name: str, task: Task, values: Sequence[object], features: np.ndarray = X, *, scale: bool = False
    ) -> None:
        settings = {"stage": {"name": "late", "branches": {"x": name}}, "fusion": PLAIN}
        tokens, target = {"x": of_rows(features)}, encoded(task, values)
        self.fitter = Played(task, tokens, target, settings=settings, takes_features=not scale)
        network = self.fitter.learn().network
        assert isinstance(network, Decisions)
        self.network = network

    @property
    def learned(self) -> bool:
        return bool(self.network.fitted.all())

    @property
    def head(self) -> torch.nn.Module:
        return self.network.heads["x"]

    def scores(self, features: np.ndarray = X) -> np.ndarray:
        """What the input says by itself."""
        assert self.learned
        return self.head({"": of_rows(features)}).values.numpy()

    def probabilities(self, features: np.ndarray = X) -> np.ndarray:
        return torch.softmax(torch.tensor(self.scores(features)), 1).numpy()


def of_rows(features: np.ndarray, present: Sequence[bool] | None = None) -> Tokens:
    here = None if present is None else torch.tensor(present)
    return Tokens.vector(torch.tensor(features, dtype=torch.float32), here)


def near(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=5e-6)


def some(names: Sequence[str], rows: np.ndarray) -> list[str]:
    return [names[row] for row in np.flatnonzero(rows)]


@pytest.mark.parametrize("num_classes", [2, 3])
def test_logistic_regression_gives_the_probabilities_of_scikit_learn(num_classes):
    rows = num_classes > CLASSES
    names = some(NAMES, rows)
    branch = Branch("logistic", classify(names), names, X[rows])
    own = LogisticRegression(C=20.0, max_iter=300).fit(X[rows], CLASSES[rows])
    near(branch.probabilities(), own.predict_proba(X))


def test_a_class_that_the_rows_lack_is_nearly_impossible():
    rows = CLASSES < 2
    found = Branch("logistic", classify(NAMES), some(NAMES, rows), X[rows]).probabilities()
    assert found[:, 2].max() < 1e-3
    own = LogisticRegression(C=20.0, max_iter=300).fit(X[rows], CLASSES[rows]).predict_proba(X)
    np.testing.assert_allclose(found[:, :2] / found[:, :2].sum(axis=1, keepdims=True), own, rtol=1e-4, atol=1e-5)


def test_each_label_has_a_logistic_regression():
    own = [LogisticRegression(C=20.0, max_iter=300).fit(X, column).decision_function(X) for column in LABELS.T]
    near(Branch("logistic", tag(TAGS), TAGS).scores(), np.stack(own, axis=1))


@pytest.mark.parametrize(("name", "own"), [
    ("ridge", Ridge(alpha=1.0)), ("svm", LinearSVR(C=1.0, random_state=0)), ("svm_rbf", SVR(C=10.0, gamma=1.0)),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_numbers_are_those_of_scikit_learn(name, own):
    near(Branch(name, regress(list(NUMBER)), list(NUMBER)).scores()[:, 0], own.fit(X, STANDARDISED).predict(X))


@pytest.mark.parametrize(("name", "own"), [
    ("svm", LinearSVC(C=1.0, random_state=0)), ("svm_rbf", SVC(C=10.0, gamma=1.0)),
])  # fmt: skip
def test_decisions_of_a_machine_are_those_of_scikit_learn_against_the_rest(name, own):
    found = Branch(name, classify(NAMES), NAMES).head.decide(torch.tensor(X, dtype=torch.float32)).numpy()
    for k in range(3):
        near(found[:, k], own.fit(X, np.where(k == CLASSES, 1.0, -1.0)).decision_function(X))


@pytest.mark.parametrize("name", ["ridge", "svm", "svm_rbf"])
def test_what_has_no_probabilities_gets_calibrated_ones(name):
    found = np.log(Branch(name, classify(NAMES), NAMES).probabilities())
    loss = -found[np.arange(ROWS), CLASSES].mean()
    assert loss < 0.5 < np.log(3)
    assert (found.argmax(axis=1) == CLASSES).mean() > 0.85


def test_features_are_standardised_where_nobody_has_done_it():
    wild = X * [1, 100, 1e-3, 5, 1e4] + [0, 7, 0, 100, -3]
    standardised = (wild - wild.mean(axis=0)) / wild.std(axis=0) / np.sqrt(WIDTH)
    own = LogisticRegression(C=20.0, max_iter=300).fit(standardised, CLASSES).predict_proba(standardised)
    scaled = Branch("logistic", classify(NAMES), NAMES, wild, scale=True).probabilities(wild)
    np.testing.assert_allclose(scaled, own, atol=1e-3)
    plain = Branch("logistic", classify(NAMES), NAMES, wild).probabilities(wild)
    assert not np.allclose(plain, own, atol=1e-2)


def test_sparse_features_give_the_same():
    words = np.zeros((ROWS, 40))
    words[np.arange(ROWS), CLASSES] = 1.0
    own = LogisticRegression(C=20.0, max_iter=300).fit(words, CLASSES)
    found = Branch("logistic", classify(NAMES), NAMES, words).probabilities(words)
    np.testing.assert_allclose(found, own.predict_proba(words), atol=1e-3)


def test_one_class_alone_is_nothing_to_learn_and_the_input_says_nothing():
    branch = Branch("logistic", classify(NAMES), ["c0"] * 4, X[:4])
    assert not branch.learned
    prediction = branch.network.combine({"x": of_rows(X)})
    assert not prediction.present.any()
    np.testing.assert_allclose(prediction.values, branch.fitter.task.prior.expand(ROWS, 3))


def test_targets_that_are_missing_are_left_out_of_their_own_number_only():
    second = RNG.normal(size=ROWS)
    values: list[Mapping[str, object]] = [
        {"u": None if row % 3 == 0 else NUMBER[row], "v": second[row]} for row in range(ROWS)
    ]
    found = Branch("ridge", regress(values), values).scores()
    known = np.arange(ROWS) % 3 > 0
    for k, (column, rows) in enumerate(((NUMBER, known), (second, np.full(ROWS, True)))):
        standardised = (column - column[rows].mean()) / column[rows].std()
        near(found[:, k], Ridge(alpha=1.0).fit(X[rows], standardised[rows]).predict(X))


def test_support_vectors_come_back_from_a_state_of_any_size():
    branch = Branch("svm_rbf", classify(NAMES), NAMES)
    empty = branch.fitter.build()
    empty.load_state_dict(branch.network.state_dict())
    tokens = {"x": of_rows(X)}
    assert torch.equal(empty.combine(tokens).values, branch.network.combine(tokens).values)
    assert 0 < len(empty.heads["x"].support) <= ROWS


def test_rows_with_nothing_present_get_the_prior():
    branch = Branch("svm_rbf", classify(NAMES), NAMES)
    prediction = branch.head({"": of_rows(X[:2], [True, False])})
    prior = branch.fitter.task.prior
    assert torch.equal(prediction.values[1], prior)
    assert not torch.equal(prediction.values[0], prior)
    assert prediction.present.tolist() == [True, False]


def test_solvers_that_stop_early_are_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Branch("svm", classify(NAMES), NAMES, X * 1e3)


def test_logistic_regression_of_a_number_is_refused():
    config = make(
        {"stage": {"name": "fuse_then_train", "predictor": "logistic"}, "fusion": {"name": "concat", "project": False}}
    )
    with pytest.raises(ConfigError, match=r"stage\.predictor: .*the target is a number\. Use ridge"):
        stage_of(config).check(config, regress(list(NUMBER)), ["x"])
