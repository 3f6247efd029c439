"""A run says at the top why its figures may not hold, in `Results.alerts`, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polymodal.config.run_config import make
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.results import Baselines, SubsetResult, SubsetResults
from polymodal.pipeline.alerts import Measured
from polymodal.pipeline.problem import resolve
from polymodal.pipeline.run import train

ROWS = 240
QUICK = {"train": {"epochs": 1, "final": "best", "ensemble": {"members": []}}, "inputs": {"keep": "all"}}


def words(rng, count):
    return [" ".join(rng.choice(["the", "red", "fox", "ran", "over", "hill"], 4)) for _ in range(count)]


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    label = rng.choice(["cat", "dog", "bird"], ROWS)
    size = np.where(label == "cat", 1.0, 0.0) + rng.normal(size=ROWS)  # a good feature, no leak
    return {"note": words(rng, ROWS), "size": size.round(3).tolist(), "label": label.tolist()}


def alerts_of(table, **config):
    results = train(table, make({"target": "label", **QUICK, **config})).bundle.metrics
    assert results.warnings[: len(results.alerts)] == tuple(alert.text for alert in results.alerts)
    return {(alert.kind, *alert.columns): alert.text for alert in results.alerts}


def test_good_features_raise_no_alert(table):
    assert alerts_of(table) == {}


def test_a_word_anywhere_in_a_text_is_a_leak(table):
    sound = {"cat": "miaow", "dog": "woof", "bird": "tweet"}
    notes = []
    for note, label in zip(table["note"], table["label"], strict=True):
        first, second, *rest = note.split()
        notes.append(" ".join([first, second, sound[label], *rest]))
    found = alerts_of({**table, "note": notes})
    assert list(found) == [("target_leakage", "note")]
    assert "note alone predicts label in 100.0 % of rows" in found["target_leakage", "note"]
    assert "--drop note" in found["target_leakage", "note"]


def test_one_number_of_several_is_named(table):
    level = {"cat": 1.0, "dog": 5.0, "bird": 9.0}
    table["paid"] = [level[label] + 0.1 * number for label, number in zip(table["label"], table["size"], strict=True)]
    assert list(alerts_of(table)) == [("target_leakage", "paid")]


def test_a_number_that_explains_a_target_of_numbers_is_named(table):
    rng = np.random.default_rng(1)
    price = rng.normal(50, 10, ROWS)
    table |= {"label": price.tolist(), "taxed": (1.2 * price + rng.normal(0, 1, ROWS)).tolist()}
    found = alerts_of(table)
    assert list(found) == [("target_leakage", "taxed")]
    assert "R² 0.99" in found["target_leakage", "taxed"]


def test_one_wrong_of_few_rows_is_told(table):
    few = {name: column[:60] for name, column in table.items()}
    few["label"] = ["cat" if row % 2 else "dog" for row in range(60)]
    few["code"] = ["p" if row % 2 else "q" for row in range(59)] + ["q"]
    assert "59 of 60" in alerts_of(few)["target_leakage", "code"]


def test_a_row_of_sums_among_the_test_rows_makes_no_leak(table):
    rng = np.random.default_rng(3)
    numbers = {name: rng.normal(5, 1, ROWS).round(2).tolist() for name in ("x", "w", "label")}
    table = {name: [*column, round(sum(column), 2)] for name, column in numbers.items()}
    table["side"] = [*("test" if row % 4 == 0 else "train" for row in range(ROWS)), "test"]
    table["id"] = [*(f"r-{row}" for row in range(ROWS)), "Total"]
    found = alerts_of(table, split={"column": "side"})
    assert ("summary_rows", "id") in found
    assert not [kind for kind in found if kind[0] == "target_leakage"]


@pytest.mark.parametrize("dropped", [[], ["speaker"]])
def test_rows_of_one_thing_on_both_sides_of_validation_are_found(dropped):
    """What a speaker says is of one class: known voices are told, new ones are not."""
    rng = np.random.default_rng(2)
    speakers = rng.integers(0, 20, ROWS)
    voices, classes = 5 * rng.normal(size=(20, 3)), rng.choice(["yes", "no"], 20)
    heard = voices[speakers] + rng.normal(size=(ROWS, 3))
    table = {
        **{f"x{k}": heard[:, k].round(3).tolist() for k in range(3)},
        "speaker": [f"s{k}" for k in speakers],
        "gender": ["fm"[k % 2] for k in speakers],  # repeats too, but test shares it
        "side": ["test" if k >= 13 else "train" for k in speakers],
        "label": classes[speakers].tolist(),
    }
    settings = {"train": {"epochs": 15, "final": "best"}, "split": {"column": "side"}, "drop": dropped}
    found = alerts_of(table, **settings)
    assert list(found) == [("validation_gap", "speaker")]
    assert "--group speaker" in found["validation_gap", "speaker"]


@pytest.mark.parametrize(("gain", "named"), [((0.04, 0.02, 0.06), True), ((0.01, -0.02, 0.04), False)])
def test_inputs_that_are_better_hidden_are_named(table, gain, named):
    value, low, high = gain
    whole = SubsetResult(inputs=("note", "table"), metrics={"accuracy": Interval(0.77, 0.7, 0.8)}, change=None)
    alone = SubsetResult(
        inputs=("table",),
        metrics={"accuracy": Interval(0.77 + value, 0.7, 0.9)},
        change=Interval(value, low, high),
    )
    found = Measured(
        resolve(table, make({"target": "label", **QUICK}), folder=Path("unused")),
        validation={},
        test={},
        baselines=Baselines(),
        subsets=SubsetResults(metric="accuracy", subsets=(whole, alone)),
        num_validation=0,
        num_test=100,
    ).alerts()
    assert [(alert.kind, alert.columns) for alert in found] == ([("masked_inputs", ("note",))] if named else [])
    assert not named or all(words in found[0].text for words in ("table alone", "0.810", "0.770", "--drop note"))
