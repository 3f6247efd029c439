"""Inputs hidden by masking tokens are inputs whose cells are missing; what is measured of them is what happened."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from polymodal.config.run_config import make
from polymodal.data.tables.table import read_table
from polymodal.evaluation.evaluate import report
from polymodal.evaluation.robustness import (
    InputMasking,
    SubsetPredictions,
    evaluate_subsets,
    measure_subsets,
    predict_subsets,
    subsets_of,
)
from polymodal.inference.forward import loader_for
from polymodal.inference.predictor import Predictor, predict
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.results import SubsetResult, SubsetResults
from polymodal.metrics.rows import RowStatistics
from polymodal.pipeline.run import train
from polymodal.report.subsets import missed
from polymodal.types import Scores

ROWS = 90
COLUMNS = {"words": ["words"], "more": ["more"], "table": ["size", "colour"]}
SMALL = {
    "target": "label",
    "columns": {"words": "text", "more": "text", "size": "number", "colour": "category"},
    "encoders": {"table": {"width": 8, "layers": 1}, "text": {"name": "bag", "width": 8}},
    "inputs": {"keep": "all"},
    "fusion": {"name": "concat", "width": 8},
    "train": {"epochs": 6, "final": "best", "optimizer": {"lr": 0.02}},
}


def cells() -> dict[str, list[object]]:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, ROWS)
    table = {
        "words": [f"{('red', 'green', 'blue')[k]} thing {rng.integers(9)}" for k in label],
        "more": [f"noise {rng.integers(9)}" for _ in label],
        "size": (label + rng.normal(size=ROWS)).tolist(),
        "colour": rng.choice(["x", "y"], ROWS).tolist(),
        "label": [f"class {k}" for k in label],
    }
    table["words"][4] = table["more"][4] = table["more"][7] = None
    return table


@pytest.fixture(scope="module")
def bundle():
    config = {**SMALL, "columns": {name: {"modality": kind} for name, kind in SMALL["columns"].items()}}
    return train(cells(), make(config)).bundle


def batches(bundle, size=64):
    for _, dataset in Predictor(bundle, "cpu").in_chunks(read_table(cells())):
        yield from loader_for(bundle.model, dataset, batch_size=size).epoch(0)


def hidden(bundle, masking, size=64):
    return predict_subsets(bundle.model, batches(bundle, size), torch.device("cpu"), masking)


def truth(bundle, values=None):
    return bundle.task.collate([bundle.task.encode(value) for value in values or cells()["label"]])


def as_scores(values):
    return Scores(torch.as_tensor(values), torch.ones(len(values), dtype=torch.bool))


def plain(bundle, scores, target):
    """The report of predictions with nothing hidden."""
    return report(RowStatistics.of(bundle.task, scores, target), seed=bundle.config.seed)


def test_subsets_are_all_of_few_inputs_and_some_of_many():
    assert subsets_of("abc") == (
        ("a", "b", "c"), ("a", "b"), ("a", "c"), ("b", "c"), ("a",), ("b",), ("c",),
    )  # fmt: skip
    assert len(subsets_of("abcdef")) == 63
    many = subsets_of("abcdefgh")
    assert len(many) == 1 + 8 + 8
    assert {len(subset) for subset in many} == {8, 7, 1}
    assert subsets_of("a") == (("a",),)


@pytest.mark.parametrize("stage", ["intermediate", "early", "late", "fuse_then_train"])
def test_a_hidden_input_is_one_whose_cells_are_missing(bundle, stage):
    if stage != "intermediate":
        config = {**SMALL, "columns": {name: {"modality": kind} for name, kind in SMALL["columns"].items()}}
        bundle = train(cells(), make({**config, "stage": stage, "fusion": {}, "encoders": {}})).bundle
    subsets = subsets_of(tuple(bundle.model.columns))
    found = hidden(bundle, InputMasking(subsets))
    assert set(found.subsets) == set(subsets)
    for subset, scores in found.subsets.items():
        table = cells()
        for name in set(COLUMNS).difference(subset):
            table |= {column: [None] * ROWS for column in COLUMNS[name]}
        np.testing.assert_allclose(scores.values, predict(bundle, table).prediction.values, atol=1e-5)
    with pytest.raises(AssertionError):  # the inputs are not without effect
        np.testing.assert_allclose(found.subsets[subsets[0]].values, found.subsets["words",].values, atol=1e-2)


def test_rates_hide_so_many_cells_and_what_is_hidden_stays_hidden(bundle, monkeypatch):
    seen = []
    combine = type(bundle.model).combine

    def watched(self, tokens):
        seen.append(torch.stack([model_input.present for model_input in tokens.values()], dim=1))
        return combine(self, tokens)

    monkeypatch.setattr(type(bundle.model), "combine", watched)
    rates, draws = (0.0, 0.3, 0.6, 1.0), 40
    found = hidden(bundle, InputMasking((), rates, draws=draws, seed=3), size=ROWS)
    present = torch.stack(seen).reshape(len(rates), draws, ROWS, 3)
    whole = present[0, 0]
    share = present.float().mean(dim=(1, 2, 3)) / whole.float().mean()
    np.testing.assert_allclose(share, [1, 0.7, 0.4, 0], atol=0.02)
    for lower, higher in pairwise(present):
        assert not (higher & ~lower).any()
    assert (present[0] == whole).all()
    prior = np.broadcast_to(bundle.task.prior.numpy(), (ROWS, 3))
    assert len(found.rates[1.0]) == draws
    for draw in found.rates[1.0]:
        np.testing.assert_allclose(draw.values, prior)
        assert not draw.present.any()


def test_no_result_depends_on_the_size_of_batches_and_all_on_the_seed(bundle):
    masking = InputMasking((("words",),), (0.5,), draws=2, seed=1)
    one, other = hidden(bundle, masking), hidden(bundle, masking, size=7)
    assert len(one.rates[0.5]) == len(other.rates[0.5]) == 2
    for mine, theirs in zip(one.rates[0.5], other.rates[0.5], strict=True):
        np.testing.assert_allclose(mine.values, theirs.values, atol=1e-5)
    assert not np.allclose(one.rates[0.5][0].values, one.rates[0.5][1].values)
    again = hidden(bundle, InputMasking((("words",),), (0.5,), draws=2, seed=2))
    assert not any(np.allclose(a.values, b.values) for a, b in zip(one.rates[0.5], again.rates[0.5], strict=True))


def test_figures_are_those_of_the_rows_and_their_draws(bundle):
    target, rng = truth(bundle), np.random.default_rng(0)
    whole, part = rng.normal(size=(2, ROWS, 3)).astype(np.float32)
    draws = rng.normal(size=(4, ROWS, 3)).astype(np.float32)
    hidden = SubsetPredictions(
        {("a", "b"): as_scores(whole), ("a",): as_scores(part)}, {0.5: [as_scores(draw) for draw in draws]}
    )
    found = measure_subsets(bundle.task, hidden, target, seed=0)
    first, second = found.subsets
    assert (found.metric, first.inputs, second.inputs) == ("accuracy", ("a", "b"), ("a",))
    assert first.metrics == plain(bundle, as_scores(whole), target)
    assert first.change is None
    classes = target.values[:, 0].numpy()
    before, after = (accuracy_score(classes, scores.argmax(axis=1)) for scores in (whole, part))
    assert second.change.value == pytest.approx(after - before)
    hits = (draws.argmax(axis=2) == classes).mean()
    assert found.masked[0].metrics["accuracy"].value == pytest.approx(hits)


def test_a_change_is_measured_between_the_same_rows(bundle):
    target = truth(bundle)
    right = 5 * np.eye(3, dtype=np.float32)[target.values[:, 0]]
    wrong = right.copy()
    wrong[: ROWS // 2] = -wrong[: ROWS // 2]
    one_less = wrong.copy()
    one_less[-1] = -one_less[-1]
    subsets = {("a", "b"): wrong, ("a",): one_less, ("b",): wrong.copy()}
    scores = SubsetPredictions({subset: as_scores(values) for subset, values in subsets.items()}, {})
    _, less, same = measure_subsets(bundle.task, scores, target, seed=0).subsets
    assert same.change == Interval(0.0, 0.0, 0.0)
    # One row of 90 differs: the change is drawn from a Poisson of mean 1, and apart from zero rows only below.
    assert less.change.value == pytest.approx(-1 / ROWS)
    assert -4 / ROWS <= less.change.low < less.change.high == 0


def test_a_table_is_measured_with_inputs_hidden(bundle):
    found = evaluate_subsets(bundle, read_table(cells()), truth(bundle))
    assert found.subsets[0].metrics == plain(bundle, predict(bundle, cells()).prediction, truth(bundle))
    assert [line.rate for line in found.masked] == pytest.approx([k / 10 for k in range(11)])
    by_inputs = {tuple(line.inputs): line for line in found.subsets}
    assert by_inputs["more", "table"].change.value < by_inputs["table", "words"].change.value
    assert missed(found, greater_is_better=True).startswith("What is missed most is words: -0.")


def test_rows_of_unknown_target_do_not_count(bundle):
    values = cells()["label"]
    some = truth(bundle, [value if row < 50 else None for row, value in enumerate(values)])
    scores = hidden(bundle, InputMasking(subsets_of(tuple(bundle.model.columns)), (0.5,)))
    found = measure_subsets(bundle.task, scores, some, seed=0)
    first = SubsetPredictions(
        {subset: one.rows(torch.arange(50)) for subset, one in scores.subsets.items()},
        {rate: [one.rows(torch.arange(50)) for one in draws] for rate, draws in scores.rates.items()},
    )
    assert found == measure_subsets(bundle.task, first, truth(bundle, values[:50]), seed=0)


def test_what_is_missed_most_is_said_no_more_strongly_than_the_intervals_allow():
    def line(inputs, value, low, high):
        change = None if low is None else Interval(value, low, high)
        return SubsetResult(inputs=tuple(inputs), metrics={"accuracy": Interval(1.0, 1.0, 1.0)}, change=change)

    def found(*lines):
        return SubsetResults(metric="accuracy", subsets=lines)

    whole = line(["a", "b"], 0, None, None)
    lost, none = line(["b"], -0.2, -0.3, -0.1), line(["a"], -0.01, -0.02, 0.01)
    assert missed(found(whole, lost, none), greater_is_better=True) == (
        "What is missed most is a: -0.200 in accuracy without it. Without b it stays within the intervals."
    )
    assert "any one" in missed(found(whole, none, line(["b"], 0.0, -0.1, 0.1)), greater_is_better=True)
    assert missed(found(whole), greater_is_better=True) == missed(found(), greater_is_better=True) == ""
