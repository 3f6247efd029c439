"""What the report makes of scores: numbers that agree with other libraries, for every kind of target."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import auc, confusion_matrix, precision_recall_curve, roc_curve

from polymodal.evaluation.evaluate import Measured
from polymodal.evaluation.report.classes import confusion, reliability
from polymodal.evaluation.report.mistakes import worst
from polymodal.evaluation.report.outcomes import Classes, Labels, Numbers, outcomes
from polymodal.evaluation.report.ranking import precision_recall, roc
from polymodal.metrics.classification import ece
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.tasks.tag import Tag, TagConfig

RNG = np.random.default_rng(0)


def classes_outcome(num_rows: int = 60) -> Classes:
    logits = RNG.normal(size=(num_rows, 3)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Classes(["a", "b", "c"], probabilities, RNG.integers(0, 3, num_rows), np.arange(num_rows) + 100)


def test_confusion_counts_as_scikit_learn_does():
    outcome = classes_outcome()
    assert np.array_equal(confusion(outcome), confusion_matrix(outcome.target, outcome.predicted))


def test_the_reliability_diagram_adds_up_to_the_metric():
    outcome = classes_outcome()
    confidence, accuracy, rows = reliability(outcome)
    error = (rows * np.abs(confidence - accuracy)).sum() / rows.sum()
    expected = ece(np.log(outcome.probabilities), outcome.target, np.ones((1, len(outcome.target))))[0]
    assert error == pytest.approx(expected)
    assert rows.sum() == len(outcome.target)


@pytest.mark.parametrize("digits", [1, 8])  # one digit: many rows share a score
def test_curves_are_those_of_scikit_learn(digits):
    scores, truth = RNG.random(80).round(digits), RNG.random(80) < 0.4
    x, y = roc(scores, truth)
    expected = roc_curve(truth, scores)
    assert np.trapezoid(y, x) == pytest.approx(auc(expected[0], expected[1]))
    recall, precision = precision_recall(scores, truth)
    expected_precision, expected_recall, _ = precision_recall_curve(truth, scores)
    assert np.allclose(recall, expected_recall[:-1][::-1])
    assert np.allclose(precision, expected_precision[:-1][::-1])


def measured(scores, target):
    return Measured("test", np.arange(len(scores)) + 5, np.asarray(scores, np.float32), np.asarray(target, np.float64))


def test_classes_of_known_target_only():
    statistics = {"classes": ["x", "y"], "kind": "str", "prior": [0.5, 0.5], "counts": [1, 1]}
    head = Classify(ClassifyConfig(), width=2, statistics=statistics)
    (found,) = outcomes(head, measured([[2, 0], [0, 2], [0, 0]], [1, np.nan, 0]), name="t")
    assert isinstance(found, Classes)
    assert (found.labels, found.target.tolist(), found.rows.tolist()) == (["x", "y"], [1, 0], [5, 7])
    assert found.probabilities.sum(axis=1) == pytest.approx([1, 1])
    ((row, said),) = worst(found)
    assert row == 5 and "<b>" in said and "p 0.88" in said


def test_numbers_are_in_the_unit_of_the_target():
    statistics = Regress.fit_target([10.0, 20.0, 30.0], column="price")
    head = Regress(RegressConfig(), width=2, statistics=statistics)
    truth = Regress.encode_target([10.0, None, 40.0], statistics)
    (found,) = outcomes(head, measured([[0.0], [1.0], [0.0]], truth), name="price")
    assert isinstance(found, Numbers) and found.name == "price"
    assert found.target == pytest.approx([10, 40], abs=1e-4)
    assert found.predicted == pytest.approx([20, 20], abs=1e-4)
    assert [row for row, _ in worst(found)] == [7, 5]


def test_several_targets_are_told_apart():
    values = [{"a": 1.0, "b": 10.0}, {"a": 2.0, "b": 30.0}, {"a": 4.0, "b": None}]
    statistics = Regress.fit_target(values, column="a, b")
    head = Regress(RegressConfig(), width=2, statistics=statistics)
    truth = Regress.encode_target(values, statistics)
    found = outcomes(head, measured(np.zeros((3, 2)), truth), name="a, b")
    assert [(outcome.name, len(outcome.rows)) for outcome in found] == [("a", 3), ("b", 2)]
    assert found[1].target == pytest.approx([10, 30], abs=1e-4)


def tagger() -> Tag:
    config = TagConfig(threshold=0.3, min_count=1)
    statistics = Tag.fit_target([["big", "red"], ["<b>"]], column="t", config=config)
    return Tag(config, width=2, statistics=statistics)


def test_labels_keep_the_threshold_of_the_task():
    (found,) = outcomes(tagger(), measured([[-0.5, 3, -3], [-3, -3, 3]], [[1, 1, 0], [0, 0, 0]]), name="t")
    assert found.labels == ["<b>", "big", "red"]
    assert isinstance(found, Labels)
    assert found.predicted.tolist() == [[True, True, False], [False, False, True]]
    assert [row for row, _ in worst(found)] == [6]


def test_a_head_of_an_unknown_kind_has_no_outcome():
    head = Regress(RegressConfig(), width=2, statistics=Regress.fit_target([1.0, 2.0], column="t"))
    assert outcomes(head, measured(np.zeros((2, 4)), [0, 1]), name="t") == []  # as many numbers as no target has


def test_without_a_known_target_there_is_no_outcome():
    assert outcomes(tagger(), measured(np.zeros((2, 3)), np.full((2, 3), np.nan)), name="t") == []
