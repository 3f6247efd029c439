"""What the report makes of scores: numbers that agree with their definitions, for every kind of target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from polymodal.config.run_config import make
from polymodal.evaluation.evaluate import EvaluatedRows
from polymodal.metrics.classification import ece
from polymodal.pipeline.run import Run, train
from polymodal.protocols import Task
from polymodal.report.classes import classes, labels, ranking, reliability
from polymodal.report.drawing import Pen
from polymodal.report.mistakes import worst
from polymodal.report.page import outcomes
from polymodal.report.subject import Previewer, ReportedRun
from polymodal.schema import Target
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.tasks.tag import Tag, TagConfig
from polymodal.types import Cells, Classes, Labels, Numbers, Outcome, Scores

RNG = np.random.default_rng(0)


def classes_outcome(num_rows: int = 60) -> Classes:
    logits = RNG.normal(size=(num_rows, 3)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Classes(["a", "b", "c"], probabilities, RNG.integers(0, 3, num_rows), np.arange(num_rows) + 100)


def test_the_reliability_diagram_adds_up_to_the_metric():
    outcome = classes_outcome()
    confidence, accuracy, rows = reliability(outcome)
    error = (rows * np.abs(confidence - accuracy)).sum() / rows.sum()
    expected = ece(np.log(outcome.probabilities), outcome.target, np.ones((1, len(outcome.target))))[0]
    assert error == pytest.approx(expected)
    assert rows.sum() == len(outcome.target)


@pytest.mark.parametrize("digits", [1, 8])  # one digit: many rows share a score
def test_curves_are_what_each_threshold_gives(digits):
    scores, truth = RNG.random(80).round(digits), RNG.random(80) < 0.4
    pen = Pen(interactive=True)
    ranking(pen, ["no", "yes"], np.stack([1 - scores, scores], axis=1), np.stack([~truth, truth], axis=1))
    (roc,), (precision_recall,) = (figure["data"] for figure in pen.figures.values())
    above = scores[:, None] > scores[None, truth]  # of each row that is not: is it ranked above one that is?
    ties = scores[:, None] == scores[None, truth]
    auc = 1 - (above + ties / 2)[~truth].mean()
    assert (roc["x"][0], roc["y"][0], roc["x"][-1], roc["y"][-1]) == (0, 0, 1, 1)
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(auc)
    assert roc["name"] == f"yes ({auc:.3f})"
    taken = [scores >= threshold for threshold in np.unique(scores)]
    recall, precision = np.array([(truth[rows].sum() / truth.sum(), truth[rows].mean()) for rows in taken]).T
    assert precision_recall["x"] == pytest.approx(recall) and precision_recall["y"] == pytest.approx(precision)
    average_precision = -(np.diff(recall, append=0) * precision).sum()
    assert precision_recall["name"] == f"yes ({average_precision:.3f})"


Find = Callable[..., list[Outcome]]


@pytest.fixture(scope="module")
def run() -> Run:
    table = {"x": [float(row % 7) for row in range(20)], "t": ["x", "y"] * 10}
    return train(table, make({"target": "t", "columns": {"x": {"modality": "number"}}, "train": {"epochs": 1}}))


def reported(run: Run, outcome: Outcome) -> ReportedRun:
    previewer = Previewer(run.table, run.bundle.schema.features(), run.bundle.config.limits)
    return ReportedRun(run, [outcome], Pen(interactive=True), previewer, "bundle")


def test_classes_are_counted_and_one_that_never_occurs_has_no_figures(run):
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1]])
    subject = reported(run, Classes(["a", "b", "c"], probabilities, np.array([0, 0, 1]), np.arange(3)))
    (shown,) = classes(subject).context["outcomes"]
    a, b, c = shown["rows"]
    assert a == pytest.approx(("a", 1, 1 / 2, 2 / 3, 2, 1)) and b == pytest.approx(("b", 1 / 2, 1, 2 / 3, 1, 2))
    assert np.isnan(c[1:4]).all() and c[4:] == (0, 0)
    lines = shown["matrix"].lines
    assert [label for label, _ in lines] == shown["matrix"].heads == ["a", "b", "c"]
    counts = [[cell.text for cell in cells] for _, cells in lines]
    assert counts == [["1", "1", ""], ["", "1", ""], ["", "", ""]]  # true classes from above, predicted from the left


def test_labels_are_counted_the_most_frequent_first(run):
    probabilities = np.array([[0.9, 0.6], [0.8, 0.4], [0.7, 0.3]])
    target = np.array([[True, True], [False, True], [False, True]])
    subject = reported(run, Labels(["rare", "every"], probabilities, probabilities > 0.5, target, np.arange(3)))
    (shown,) = labels(subject).context["outcomes"]
    every, rare = shown["rows"]
    assert np.isnan(every.pop("average_precision"))  # no row is without it
    assert every == pytest.approx({"label": "every", "share": 1, "precision": 1, "recall": 1 / 3, "rows": 3})
    assert rare == pytest.approx(
        {"label": "rare", "average_precision": 1, "share": 1 / 3, "precision": 1 / 3, "recall": 1, "rows": 1}
    )


@pytest.fixture
def found_in(run: Run) -> Find:
    """What a report finds where a model of another task gave these scores for the rows 5, 6, ... of a table."""

    def find(target: Target, scores: object, values: Sequence[object]) -> list[Outcome]:
        bundle = replace(run.bundle, schema=run.bundle.schema.model_copy(update={"target": target}))
        prediction = Scores(torch.tensor(scores, dtype=torch.float32), torch.ones(len(values), dtype=torch.bool))
        truth = bundle.task.collate([bundle.task.encode(value) for value in values])
        found = EvaluatedRows("test", np.arange(len(values)) + 5, prediction, truth)
        return outcomes(replace(run, bundle=bundle, measured=found))

    return find


def test_classes_of_known_target_only(found_in):
    statistics = Classify(ClassifyConfig()).fit(["x", "y"], column="t")
    (found,) = found_in(
        Target(column="t", task="classify", statistics=statistics), [[2, 0], [0, 2], [0, 0]], ["y", None, "x"]
    )
    assert isinstance(found, Classes)
    assert (found.labels, found.target.tolist(), found.rows.tolist()) == (["x", "y"], [1, 0], [5, 7])
    assert found.probabilities.sum(axis=1) == pytest.approx([1, 1])
    (mistake,) = worst(found)
    assert (mistake.row, mistake.predicted, mistake.true) == (5, [("x", "p 0.881")], [("y", "p 0.119")])


def price(values: Sequence[object] = (10.0, 20.0, 30.0)) -> Target:
    return Target(column="price", task="regress", statistics=Regress(RegressConfig()).fit(values, column="price"))


def test_numbers_are_in_the_unit_of_the_target(found_in):
    (found,) = found_in(price(), [[0.0], [1.0], [0.0]], [10.0, None, 40.0])
    assert isinstance(found, Numbers) and found.name == "price"
    assert found.target == pytest.approx([10, 40], abs=1e-4)
    assert found.predicted == pytest.approx([20, 20], abs=1e-4)
    assert [(mistake.row, mistake.predicted[0][0]) for mistake in worst(found)] == [(7, "20.00"), (5, "20.00")]


def test_several_targets_are_told_apart(found_in):
    values = [{"a": 1.0, "b": 10.0}, {"a": 2.0, "b": 30.0}, {"a": 4.0, "b": None}]
    statistics = Regress(RegressConfig()).fit(values, column="a, b")
    target = Target(column=("a", "b"), task="regress", statistics=statistics)
    found = found_in(target, np.zeros((3, 2)), values)
    assert [(outcome.name, len(outcome.rows)) for outcome in found] == [("a", 3), ("b", 2)]
    assert found[1].target == pytest.approx([10, 30], abs=1e-4)


def tags() -> Target:
    settings = {"threshold": 0.3, "min_count": 1}
    statistics = Tag(TagConfig(**settings)).fit([["big", "red"], ["<b>"]], column="t")
    return Target(column="t", task="tag", settings=settings, statistics=statistics)


def test_labels_keep_the_threshold_of_the_task(found_in):
    (found,) = found_in(tags(), [[-0.5, 3, -3], [-3, -3, 3]], [["<b>", "big"], []])
    assert found.labels == ["<b>", "big", "red"]
    assert isinstance(found, Labels)
    assert found.predicted.tolist() == [[True, True, False], [False, False, True]]
    (mistake,) = worst(found)
    assert mistake.row == 6 and [label for label, _ in mistake.predicted] == ["red"] and mistake.true == []


class Silent(Task):
    """A task of someone else's, which shows nothing of its predictions."""

    def encode(self, value: object) -> np.ndarray:
        return np.array([value])

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        return Cells.stacked(arrays, shape=(1,), dtype=np.float64)


def test_a_task_that_shows_nothing_has_no_outcome(found_in, monkeypatch):
    monkeypatch.setattr("polymodal.bundles.bundle.task_of", lambda _: Silent(None))
    assert found_in(price(), np.zeros((2, 1)), [10.0, 20.0]) == []


def test_without_a_known_target_there_is_no_outcome(found_in):
    assert found_in(tags(), np.zeros((2, 3)), [None, None]) == []
