"""Gradient boosted trees, as tensors: they say what scikit-learn says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from played import Played, classify, encoded, regress, tag
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from stage_tables import EMPTY, TABLE, run

from polymodal.bundles import bundle
from polymodal.errors import ConfigError, DamagedBundleError
from polymodal.inference.predictor import predict
from polymodal.models.decisions import Decisions
from polymodal.protocols import Task
from polymodal.types import Tokens

ROWS, WIDTH = 240, 6
RNG = np.random.default_rng(0)
X = (100 + RNG.normal(size=(ROWS, WIDTH))).astype(np.float32).astype(np.float64)  # as the network sees it
X[:, 1] = X[:, 1].round(1).astype(np.float32)  # the same number many times
CLASSES = np.argmax((X[:, :5] - 100) ** 2 + 0.3 * RNG.normal(size=(ROWS, 5)), axis=1)
NUMBER = np.abs(X[:, 0] - 100) + X[:, 1] + 0.1 * RNG.normal(size=ROWS)
LABELS = (X[:, :3] > 100).astype(int)
NAMES = [f"c{k}" for k in CLASSES]
TAGS = [[f"l{k}" for k in range(3) if row[k]] for row in LABELS]
NEW = (100 + 2 * RNG.normal(size=(500, WIDTH))).astype(np.float32).astype(np.float64)
BRANCH = {"name": "late", "branches": {"table": "gradient_boosting", "words": "gradient_boosting"}}
FUSED = {"name": "fuse_then_train", "predictor": "gradient_boosting"}


def smaller(rows: int = ROWS, *, iterations: int = 50) -> Any:
    """The trees of more than two classes."""
    return HistGradientBoostingClassifier(
        max_iter=iterations, max_leaf_nodes=8, min_samples_leaf=min(20, max(1, rows // 20)), max_bins=31,
        learning_rate=0.2, early_stopping=False, random_state=0,
    )  # fmt: skip


def boosting(rows: int = ROWS, *, iterations: int = 100, numbers: bool = False) -> Any:
    cls = HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier
    return cls(
        max_iter=iterations, max_leaf_nodes=15, min_samples_leaf=min(20, max(1, rows // 20)), max_bins=63,
        early_stopping=False, random_state=0,
    )  # fmt: skip


def tokens(features: np.ndarray) -> Tokens:
    return Tokens.vector(torch.tensor(features, dtype=torch.float32))


def learned(task: Task, values: Sequence[object], features: np.ndarray = X, *, handcrafted: bool = True) -> Decisions:
    """Late fusion of a single input, whose predictor is gradient boosting."""
    settings = {
        "stage": {"name": "late", "branches": {"x": "gradient_boosting"}},
        "fusion": {"name": "average", "project": False},
    }
    fitter = Played(
        task, {"x": tokens(features)}, encoded(task, values), settings=settings, takes_features=handcrafted
    )  # fmt: skip
    network = fitter.learn().network
    assert isinstance(network, Decisions)
    return network


def scores(network: Decisions, features: np.ndarray = NEW) -> np.ndarray:
    return network.heads["x"]({"": tokens(features)}).values.numpy()


def near(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("features", [X, NEW], ids=["seen", "new"])
def test_two_classes_have_the_log_odds_of_scikit_learn(features):
    names = [f"c{k}" for k in LABELS[:, 0] ^ LABELS[:, 1]]
    found = scores(learned(classify(names), names), features)
    near(found[:, 1] - found[:, 0], boosting().fit(X, names).decision_function(features))


def test_several_classes_have_the_scores_of_scikit_learn():
    own = smaller().fit(X, NAMES)
    found = scores(learned(classify(NAMES), NAMES))
    near(found, own.decision_function(NEW))
    near(torch.softmax(torch.tensor(found), 1).numpy(), own.predict_proba(NEW))


def test_many_classes_have_fewer_trees_each():
    names = [f"c{k:02}" for k in np.arange(ROWS) % 12]
    network = learned(classify(names), names)
    near(scores(network), smaller(iterations=25).fit(X, names).decision_function(NEW))
    assert len(network.heads["x"].root) == 300


@pytest.mark.parametrize(("rows", "iterations"), [(900, 100), (1500, 150), (3100, 300)])
def test_more_rows_have_more_trees_up_to_300(rows, iterations):
    """Of numbers and of two classes."""
    x = RNG.normal(size=(rows, 1)).astype(np.float32).astype(np.float64)
    values = (np.sin(3 * x[:, 0]) + 0.1 * RNG.normal(size=rows)).tolist()
    network = learned(regress(values), values, x)
    standardised = (np.array(values) - np.mean(values)) / np.std(values)
    near(scores(network, x)[:, 0], boosting(rows, iterations=iterations, numbers=True).fit(x, standardised).predict(x))
    names = ["p" if value > 0 else "q" for value in values]
    assert len(learned(classify(names), names, x).heads["x"].root) == iterations


def test_a_class_that_the_rows_lack_is_nearly_impossible():
    rows = CLASSES > 1
    names = [NAMES[row] for row in np.flatnonzero(rows)]
    found = torch.softmax(torch.tensor(scores(learned(classify(NAMES), names, X[rows]))), 1).numpy()
    assert found[:, :2].max() < 0.02
    own = smaller(rows.sum()).fit(X[rows], names).predict_proba(NEW)
    np.testing.assert_allclose(found[:, 2:] / found[:, 2:].sum(axis=1, keepdims=True), own, rtol=1e-4, atol=1e-5)


def test_each_label_has_its_trees_and_one_that_all_rows_have_needs_none():
    values = [[*row, "all"] for row in TAGS]
    task = tag(values)
    found = scores(learned(task, values))
    own = [boosting().fit(X, column).decision_function(NEW) for column in LABELS.T]
    near(found[:, [task.labels.tolist().index(f"l{k}") for k in range(3)]], np.stack(own, axis=1))
    near(found[:, task.labels.tolist().index("all")], np.full(len(NEW), np.log((ROWS + 0.5) / 0.5)))


def test_numbers_are_those_of_scikit_learn_from_the_rows_that_have_them():
    values: list[Mapping[str, object]] = [
        {"u": None if row % 3 == 0 else NUMBER[row], "v": X[row, 2] ** 2} for row in range(ROWS)
    ]
    found = scores(learned(regress(values), values))
    known = np.arange(ROWS) % 3 > 0
    for k, (column, rows) in enumerate(((NUMBER, known), (X[:, 2] ** 2, np.full(ROWS, True)))):
        standardised = (column - column[rows].mean()) / column[rows].std()
        own = boosting(rows.sum(), numbers=True).fit(X[rows], standardised[rows])
        near(found[:, k], own.predict(NEW))


def test_features_that_are_zero_in_nearly_all_rows_change_nothing():
    words = (RNG.random((ROWS, 400)) < 0.03).astype(float)
    words[np.arange(ROWS), CLASSES * 50] = 1.0
    own = smaller().fit(words, NAMES)
    near(scores(learned(classify(NAMES), NAMES, words), words[:60]), own.decision_function(words[:60]))


def test_nobody_need_standardise_the_features():
    wild = (X * [1, 100, 1e-3, 5, 1e4, 1]).astype(np.float32).astype(np.float64)
    found = scores(learned(classify(NAMES), NAMES, wild, handcrafted=False), wild)
    near(found, smaller().fit(wild, NAMES).decision_function(wild))


def test_thresholds_between_neighbouring_floats_divide_as_in_double_precision():
    one = np.float32(1)
    steps = [one := np.nextafter(one, np.float32(2)) for _ in range(12)]
    features = np.array(steps, dtype=float)[np.arange(ROWS) % 12][:, None]
    names = np.where(np.arange(ROWS) % 12 % 2, "odd", "even").tolist()
    found = scores(learned(classify(names), names, features), features)
    near(found[:, 1] - found[:, 0], boosting().fit(features, names).decision_function(features))


def test_few_rows_have_a_tree_too():
    names = ["a", "b", "b"]
    near(
        np.diff(scores(learned(classify(names), names, X[:3])))[:, 0],
        boosting(3).fit(X[:3], names).decision_function(NEW),
    )


@pytest.mark.parametrize("task", ["classify", "one against the rest", "regress several", "tag", "ordinal"])
@pytest.mark.parametrize(("stage", "fusion"), [(BRANCH, "average"), (FUSED, "concat")], ids=["late", "fuse_then_train"])
def test_a_bundle_holds_them_as_arrays(task, stage, fusion):
    trained = run(task, stage=stage, fusion=fusion).bundle
    again = bundle.from_bytes(bundle.to_bytes(trained))
    for table in (TABLE, EMPTY):
        assert torch.equal(predict(again, table).prediction.values, predict(trained, table).prediction.values)
    if task == "classify":
        assert trained.metrics.test["accuracy"].value > 0.7


def test_trees_that_lead_nowhere_are_refused():
    trained = run(stage=FUSED, fusion="concat").bundle
    (name,) = (name for name, _ in trained.model.named_buffers() if name.endswith(".left"))
    trained.model.get_buffer(name)[0] = 10**6
    with pytest.raises(DamagedBundleError, match=r"left: a tree has a number that is not from 0 to"):
        bundle.from_bytes(bundle.to_bytes(trained))


@pytest.mark.parametrize(("stage", "where"), [
    ({"name": "late", "branches": {"table": {"name": "gradient_boosting", "c": 1}}}, r"stage\.branches\.table\.c"),
    ({"name": "fuse_then_train", "predictor": {"name": "gradient_boosting", "c": 1}}, r"stage\.predictor\.c"),
])  # fmt: skip
def test_a_penalty_that_it_does_not_have_is_refused(stage, where):
    with pytest.raises(ConfigError, match=where + ": gradient_boosting has no penalty"):
        run(stage=stage, fusion="concat")
