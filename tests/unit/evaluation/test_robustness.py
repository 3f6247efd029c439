"""Inputs hidden by masking tokens are inputs whose cells are missing; what is measured of them is what happened."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from polymodal.config import make
from polymodal.data.table import read_table
from polymodal.evaluation.evaluate import evaluate_scores
from polymodal.evaluation.report.subsets import missed
from polymodal.evaluation.robustness import (
    Hiding,
    Scores,
    evaluate_subsets,
    measure_subsets,
    score_subsets,
    subsets_of,
)
from polymodal.predict import in_chunks, predict
from polymodal.run import train

ROWS = 90
COLUMNS = {"words": ["words"], "more": ["more"], "table": ["size", "colour"]}
SMALL = {
    "target": "label",
    "columns": {"words": "text", "more": "text", "size": "number", "colour": "category"},
    "encoders": {"table": {"width": 8, "layers": 1}, "text": {"name": "bag", "width": 8}},
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
    for _, _, loader in in_chunks(bundle, read_table(cells()), batch_size=size):
        yield from loader.epoch(0)


def hidden(bundle, hiding, size=64):
    return score_subsets(bundle.model, batches(bundle, size), torch.device("cpu"), hiding)


def truth(bundle):
    return bundle.model.head.encode_target(cells()["label"], bundle.schema.target.statistics)


def test_subsets_are_all_of_few_inputs_and_some_of_many():
    assert subsets_of("abc") == (
        ("a", "b", "c"), ("a", "b"), ("a", "c"), ("b", "c"), ("a",), ("b",), ("c",),
    )  # fmt: skip
    assert len(subsets_of("abcdef")) == 63
    many = subsets_of("abcdefgh")
    assert len(many) == 1 + 8 + 8
    assert {len(subset) for subset in many} == {8, 7, 1}
    assert subsets_of("a") == (("a",),)


@pytest.mark.parametrize("timing", ["intermediate", "early", "late", "fuse_then_train"])
def test_a_hidden_input_is_one_whose_cells_are_missing(bundle, timing):
    if timing != "intermediate":
        config = {**SMALL, "columns": {name: {"modality": kind} for name, kind in SMALL["columns"].items()}}
        bundle = train(cells(), make({**config, "timing": timing, "fusion": {}, "encoders": {}})).bundle
    subsets = subsets_of(tuple(bundle.model.columns))
    found = hidden(bundle, Hiding(subsets))
    assert set(found.subsets) == set(subsets)
    for subset, scores in found.subsets.items():
        table = cells()
        for name in set(COLUMNS).difference(subset):
            table |= {column: [None] * ROWS for column in COLUMNS[name]}
        np.testing.assert_allclose(scores, predict(bundle, table).scores, atol=1e-5)
    with pytest.raises(AssertionError):  # the inputs are not without effect
        np.testing.assert_allclose(found.subsets[subsets[0]], found.subsets["words",], atol=1e-2)


def test_rates_hide_so_many_cells_and_what_is_hidden_stays_hidden(bundle, monkeypatch):
    seen = []
    combine = type(bundle.model).combine

    def watched(self, tokens):
        seen.append(torch.stack([of_input.present for of_input in tokens.values()], dim=1))
        return combine(self, tokens)

    monkeypatch.setattr(type(bundle.model), "combine", watched)
    rates, draws = (0.0, 0.3, 0.6, 1.0), 40
    found = hidden(bundle, Hiding((), rates, draws=draws, seed=3), size=ROWS)
    present = torch.stack(seen).reshape(len(rates), draws, ROWS, 3)
    whole = present[0, 0]
    share = present.float().mean(dim=(1, 2, 3)) / whole.float().mean()
    np.testing.assert_allclose(share, [1, 0.7, 0.4, 0], atol=0.02)
    for lower, higher in pairwise(present):
        assert not (higher & ~lower).any()
    assert (present[0] == whole).all()
    prior = bundle.model.head.prior.numpy()
    np.testing.assert_allclose(found.rates[1.0], np.broadcast_to(prior, found.rates[1.0].shape))


def test_no_result_depends_on_the_size_of_batches_and_all_on_the_seed(bundle):
    hiding = Hiding((("words",),), (0.5,), draws=2, seed=1)
    one, other = hidden(bundle, hiding), hidden(bundle, hiding, size=7)
    np.testing.assert_allclose(one.rates[0.5], other.rates[0.5], atol=1e-5)
    again = hidden(bundle, Hiding((("words",),), (0.5,), draws=2, seed=2))
    assert not np.allclose(one.rates[0.5], again.rates[0.5])


def test_figures_are_those_of_the_rows_and_their_draws(bundle):
    target, rng = truth(bundle), np.random.default_rng(0)
    whole, part = rng.normal(size=(2, ROWS, 3)).astype(np.float32)
    draws = rng.normal(size=(ROWS, 4, 3)).astype(np.float32)
    found = measure_subsets(bundle.model.head, Scores({("a", "b"): whole, ("a",): part}, {0.5: draws}), target, seed=0)
    first, second = found["subsets"]
    assert (found["metric"], first["inputs"], second["inputs"]) == ("accuracy", ["a", "b"], ["a"])
    assert first["metrics"] == evaluate_scores(bundle.model.head, whole, target, seed=0)
    assert first["change"] is None
    before, after = (accuracy_score(target, scores.argmax(axis=1)) for scores in (whole, part))
    assert second["change"]["value"] == pytest.approx(after - before)
    hits = (draws.argmax(axis=2) == target[:, None]).mean()
    assert found["hidden"][0]["metrics"]["accuracy"]["value"] == pytest.approx(hits)


def test_a_change_is_measured_between_the_same_rows(bundle):
    target = truth(bundle)
    right = 5 * np.eye(3, dtype=np.float32)[target.astype(int)]
    wrong = right.copy()
    wrong[: ROWS // 2] = -wrong[: ROWS // 2]
    one_less = wrong.copy()
    one_less[-1] = -one_less[-1]
    scores = Scores({("a", "b"): wrong, ("a",): one_less, ("b",): wrong.copy()}, {})
    _, less, same = measure_subsets(bundle.model.head, scores, target, seed=0)["subsets"]
    assert same["change"] == {"value": 0, "low": 0, "high": 0}
    # One row of 90 differs: the change is drawn from a Poisson of mean 1, and apart from zero rows only below.
    assert less["change"]["value"] == pytest.approx(-1 / ROWS)
    assert -4 / ROWS <= less["change"]["low"] < less["change"]["high"] == 0


def test_a_table_is_measured_with_inputs_hidden(bundle):
    found = evaluate_subsets(bundle, read_table(cells()), truth(bundle))
    assert found["subsets"][0]["metrics"] == evaluate_scores(
        bundle.model.head, predict(bundle, cells()).scores, truth(bundle), seed=bundle.config.seed
    )
    assert [line["rate"] for line in found["hidden"]] == pytest.approx([k / 10 for k in range(11)])
    by_inputs = {tuple(line["inputs"]): line for line in found["subsets"]}
    assert by_inputs["more", "table"]["change"]["value"] < by_inputs["table", "words"]["change"]["value"]
    assert missed(found).startswith("What is missed most is words: -0.")


def test_rows_of_unknown_target_do_not_count(bundle):
    target = truth(bundle)
    some = np.where(np.arange(ROWS) < 50, target, np.nan)
    scores = hidden(bundle, Hiding(subsets_of(tuple(bundle.model.columns))))
    found = measure_subsets(bundle.model.head, scores, some, seed=0)
    first = {subset: values[:50] for subset, values in scores.subsets.items()}
    assert found == measure_subsets(bundle.model.head, Scores(first, {}), target[:50], seed=0)


def test_what_is_missed_most_is_said_no_more_strongly_than_the_intervals_allow():
    def line(inputs, value, low, high):
        change = None if low is None else {"value": value, "low": low, "high": high}
        return {"inputs": inputs, "metrics": {"accuracy": {}}, "change": change}

    whole = line(["a", "b"], 0, None, None)
    lost, none = line(["b"], -0.2, -0.3, -0.1), line(["a"], -0.01, -0.02, 0.01)
    found = {"metric": "accuracy", "subsets": [whole, lost, none]}
    assert missed(found) == (
        "What is missed most is a: -0.200 in accuracy without it. Without b it stays within the intervals."
    )
    assert "any one" in missed({"metric": "accuracy", "subsets": [whole, none, line(["b"], 0, -0.1, 0.1)]})
    assert missed({"metric": "accuracy", "subsets": [whole]}) == ""
    assert missed({}) == ""
