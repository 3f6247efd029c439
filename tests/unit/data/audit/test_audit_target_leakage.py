"""Columns that give the target away are found by themselves; good features are not called leaks."""

from __future__ import annotations

from datetime import date, timedelta

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
    assert "predicts label" in told["a"]
    assert "predicts y" in told["b"]


MORE = np.random.default_rng(1)
PRICES = MORE.lognormal(5, 1, ROWS).round(2)
SIDES = ["yes" if k % 2 else "no" for k in range(ROWS)]
UNIQUE = [" ".join(MORE.choice(list("abcdefgh"), 4)) for _ in range(ROWS)]
DATES = [f"2024-{1 + k % 12:02}-{1 + k % 28:02}" for k in MORE.integers(0, 400, ROWS)]


def odd(cells, cell, count=6):
    cells = list(cells)
    for place in range(count):
        cells[place * 31 + 5] = cell
    return cells


@pytest.mark.parametrize("cells", [UNIQUE, PRICES.tolist(), DATES], ids=["texts", "numbers", "dates"])
def test_cells_that_are_filled_for_one_class_are_a_leak(cells):
    told = found({"why": [cell if k % 2 else None for k, cell in enumerate(cells)], "label": SIDES, "z": WORDS})
    assert told["why"].severity == "error"
    assert "empty" in told["why"].what


def test_cells_that_are_filled_for_one_of_several_classes_are_a_leak():
    told = found({"why": [u if a == "food" else None for u, a in zip(UNIQUE, LABELS, strict=True)], "label": LABELS})
    assert "food" in told["why"].what


def test_files_that_are_there_for_one_class_are_a_leak():
    waves = [MORE.normal(size=2_000) if k % 2 else None for k in range(ROWS)]
    told = found({"wave": waves, "label": SIDES}, columns={"wave": {"modality": "audio"}})
    assert "empty" in told["wave"].what


def test_emptiness_that_tells_little_is_no_leak():
    wrong = MORE.random(ROWS) < 0.1
    assert found({"why": [u if (k % 2) != w else None for k, (u, w) in enumerate(zip(UNIQUE, wrong, strict=True))],
                  "label": SIDES}) == {}  # fmt: skip


NUMBERS = {
    "in a text": [f"price: {price:.2f} EUR" for price in PRICES],
    "in a text, with thousands": [f"costs {price:,.2f} at most" for price in PRICES],
    "with a decimal comma": [f"Preis: {price:.2f} EUR".replace(".", ",") for price in PRICES],
    "among others": [f"size {k % 7}, price {price:.2f}, box {k % 5}" for k, price in enumerate(PRICES)],
    "with a unit": [f"{price:.2f} EUR" for price in PRICES],
    "with a tax": [f"{1.2 * price:.2f} with tax" for price in PRICES],
    "beside odd cells": odd([str(price) for price in PRICES], "?"),
    "beside odd numbers": odd(PRICES.tolist(), -99_999.0),
    "beside empty cells": odd(PRICES.tolist(), None, 6),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_a_number_that_is_the_target_is_found(case):
    told = found({"it": NUMBERS[case], "z": WORDS, "label": PRICES.tolist()})
    assert set(told) == {"it"}
    assert told["it"].severity == "warning"
    assert "number" in told["it"].what


def test_a_target_that_is_written_with_units_is_asked():
    told = found({"it": PRICES.tolist(), "z": WORDS, "label": odd([f"{price:.2f} kg" for price in PRICES], "?", 3)})
    assert set(told) == {"it"}


def test_a_number_near_the_target_is_no_leak():
    near = PRICES * MORE.normal(1, 0.15, ROWS)
    texts = [f"about {price:.0f} EUR" for price in PRICES * MORE.normal(1, 0.15, ROWS)]
    assert found({"near": near.tolist(), "text": texts, "label": PRICES.tolist()}) == {}


CLASSES = {
    "number with unit": ([f"{(3 if k % 2 else 9) + k / 1000} kg" for k in range(ROWS)], "number"),
    "number beside odd cells": (odd([str((3 if k % 2 else 9) + k / 1000) for k in range(ROWS)], "unknown"), "number"),
    "date": ([str(date(2024 if k % 2 else 2023, 1, 1) + timedelta(k)) for k in range(ROWS)], "date"),
    "date beside odd cells": (
        odd([str(date(2024 if k % 2 else 2023, 1, 1) + timedelta(k)) for k in range(ROWS)], "soon"), "date"
    ),
    "code": (["p" if k % 2 else "q" for k in range(ROWS)], "value"),
    "letters in front": ([f"{'A' if k % 2 else 'B'}{k} {u}" for k, u in enumerate(UNIQUE)], "letters"),
    "number in a text": ([f"no {1000 + k + 1000 * (k % 2)} {u}" for k, u in enumerate(UNIQUE)], "number"),
}  # fmt: skip


@pytest.mark.parametrize("case", CLASSES)
def test_a_leak_is_told_by_what_the_column_holds(case):
    cells, word = CLASSES[case]
    told = found({"it": cells, "label": SIDES, "z": WORDS})
    assert set(told) == {"it"}
    assert word in told["it"].what
    assert "first word" not in told["it"].what


@pytest.mark.parametrize(
    ("ids", "labels"),
    [([f"{a}-{k:03}" for k, a in enumerate(SIDES)], SIDES), ([f"{a[0]}{k:03}" for k, a in enumerate(SIDES)], SIDES),
     ([f"r{k:03}" for k in range(ROWS)], sorted(SIDES)), (list(range(ROWS)), sorted(SIDES))],
    ids=["prefix", "letter", "sorted", "counted"],
)  # fmt: skip
def test_identifiers_that_tell_the_class_are_noted_once(ids, labels):
    findings = inspect_table({"id": ids, "word": WORDS, "label": labels}, config=make({"target": "label"})).findings
    (note,) = [finding for finding in findings if "id" in finding.columns]
    assert (note.check, note.severity) == ("target_leakage", "note")


@pytest.mark.parametrize(("wrong", "named"), [(1, True), (4, False)])
def test_of_few_rows_one_may_be_wrong(wrong, named):
    code = [{"yes": "p", "no": "q"}[side] for side in SIDES[:60]]
    code[10 : 10 + wrong] = [{"p": "q", "q": "p"}[cell] for cell in code[10 : 10 + wrong]]
    told = found({"code": code, "z": WORDS[:60], "label": SIDES[:60]})
    assert set(told) == ({"code"} if named else set())
    assert not named or "chance" in told["code"].what
