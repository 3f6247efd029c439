"""Columns that give the target away are found by themselves; good features are not called leaks."""

from __future__ import annotations

import numpy as np
import pytest

from polymodal.config.run_config import make
from polymodal.data.audit.inspection import inspect_table

RNG = np.random.default_rng(0)
ROWS = 200
LABELS = [str(x) for x in RNG.choice(["animals", "food", "tools"], ROWS, p=[0.5, 0.3, 0.2])]
WORDS = [str(x) for x in RNG.choice(["red", "green", "blue", "old", "new", "round"], ROWS)]
KINDS = [f"{label}-kind-{number}" for label, number in zip(LABELS, RNG.integers(0, 8, ROWS), strict=True)]
LETTERS = [f"{word}{number}" for word, number in zip(WORDS, RNG.integers(0, 30, ROWS), strict=True)]


def found(table, **config):
    findings = inspect_table(table, config=make({"target": "label", **config})).findings
    return {f.columns[0]: f for f in findings if f.check == "target_leakage"}


@pytest.mark.parametrize(
    "cells",
    [
        [f"{a}:{b}" for a, b in zip(LABELS, LETTERS, strict=True)],  # the class, then the name: stamps `group`
        KINDS,  # a finer class: emoji `subgroup`
        [f"{b} {a}." for a, b in zip(LABELS, LETTERS, strict=True)],
        [{"animals": 3, "food": 5, "tools": 9}[a] + 0.0 for a in LABELS],
    ],
    ids=["first word", "finer class", "last word", "code"],
)
def test_what_gives_the_answer_is_named(cells):
    told = found({"word": WORDS, "leak": cells, "label": LABELS})
    assert set(told) == {"leak"}
    assert told["leak"].severity == "error"
    assert "--drop leak" in told["leak"].advice


def test_a_class_that_is_told_by_absence_is_a_leak():
    label = ["yes" if k % 2 else "no" for k in range(ROWS)]
    told = found({"reason": [w if k % 2 else None for k, w in enumerate(WORDS)], "label": label})
    assert told["reason"].severity == "error"


def test_an_identifier_that_holds_the_class_is_noted():
    ids = [f"{label}__{number:03d}" for number, label in enumerate(LABELS)]
    told = found({"id": ids, "word": WORDS, "label": LABELS})
    assert told["id"].severity == "note"
    assert "left out as identifier" in told["id"].what


def test_columns_that_were_dropped_are_not_spoken_of():
    assert found({"leak": KINDS, "word": WORDS, "label": LABELS}, drop=["leak"]) == {}


def test_good_features_are_no_leaks():
    """A word that tells 80 % of the rows, a number that tells 95 %, and identifiers of nothing."""
    wrong = RNG.random(ROWS)
    word = [label if w < 0.8 else "tools" for label, w in zip(LABELS, wrong, strict=True)]
    size = [
        {"animals": 1.0, "food": 5.0, "tools": 9.0}[a] + e for a, e in zip(LABELS, RNG.normal(0, 1, ROWS), strict=True)
    ]
    assert found({"word": word, "size": size, "id": range(ROWS), "label": LABELS}) == {}


def test_a_copy_of_a_number_is_found():
    price = RNG.normal(size=ROWS).round(3).tolist()
    told = found({"price": [2 * p for p in price], "word": WORDS, "label": price})
    assert told["price"].severity == "warning"


def test_a_copy_of_a_text_is_found():
    texts = [f"{a} is {b}" for a, b in zip(LETTERS, reversed(LETTERS), strict=True)]
    told = found({"copy": [f"He said: {text.upper()}" for text in texts], "word": WORDS, "label": texts})
    assert told["copy"].severity == "error"
    assert "word" not in told


def test_few_rows_prove_nothing():
    assert found({"leak": KINDS[:20], "word": WORDS[:20], "label": LABELS[:20]}) == {}


def test_every_target_is_asked():
    other = [str(x) for x in RNG.choice(["u", "v"], ROWS)]
    table = {"a": KINDS, "b": [f"{x} {n}" for x, n in zip(other, LETTERS, strict=True)], "label": LABELS, "y": other}
    findings = inspect_table(table, config=make({"target": ["label", "y"]})).findings
    told = {f.columns[0]: f.what for f in findings if f.check == "target_leakage"}
    assert "'label'" in told["a"]
    assert "'y'" in told["b"]
