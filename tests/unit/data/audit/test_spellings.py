"""Classes and categories that may be one are named with their counts, and never joined but for blanks around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymodal.config.run_config import make
from polymodal.data.audit.inspection import inspect_table
from polymodal.pipeline.problem import resolve

ROWS = 60
X = [row * 0.37 for row in range(ROWS)]


def told(cells, **config):
    """What `inspect` and a training say of the spelling of classes."""
    table, config = {"x": X, "label": cells}, make({"target": "label", **config})
    found = inspect_table(table, config=config).findings
    said = [f.what for f in found if f.check == "writing" and f.columns == ("label",) and "differ" in f.what]
    problem = resolve(table, config, folder=Path("unused"))
    return said, [note for note in problem.warnings if "differ" in note]


@pytest.mark.parametrize(
    ("odd", "usual", "other"),
    [
        ("Yes", "yes", "no"),
        ("y", "yes", "no"),
        ("n", "no", "yes"),
        ("1", "true", "false"),
        ("1.0", "1", "red"),
        ("New\u200bYork", "NewYork", "Rome"),
        ("New\xa0York", "New York", "Rome"),
        ("New  York", "New York", "Rome"),
        ("a\ufeffb", "ab", "c"),
        ("25\u201330", "25-30", "30-35"),
        ("pos.", "pos", "neg"),
        ("neg,", "neg", "pos"),
        ('"pos"', "pos", "neg"),
        ('"pos', "pos", "neg"),
        ("pos\x07", "pos", "neg"),
        ("G1.", "G1", "G2"),
        ("\uff50\uff4f\uff53", "pos", "neg"),
        ("\ufb01ne", "fine", "bad"),
        ("p\u043es", "pos", "neg"),
        ("\u0391", "A", "B"),
        ("gr\xc3\xbcn", "gr\xfcn", "rot"),
    ],
)
def test_spellings_of_one_class_are_named_with_their_counts(odd, usual, other):
    found, notes = told([odd] * 2 + [usual] * 28 + [other] * 30)
    for said in (found, notes):
        (sentence,) = said
        assert f"{usual!r} (28)" in sentence
        assert f"{odd!r} (2)" in sentence
        assert repr(other) not in sentence


@pytest.mark.parametrize(
    "classes",
    [
        ("yes", "no"),
        ("y", "n", "t", "f"),
        ("0", "1", "2"),
        ("0", "1", "2", "yes"),
        ("A", "B", "no"),
        ("a+b", "a b"),
        ("NY", "New York"),
        ("true", "false", "unknown"),
        ("C", "C#", "C++"),
        (":)", ";)"),
        ("5'", '5"'),
        ("10\u2075", "105"),
        ("p", "\u03c1"),
        ("A", "\u03b1"),
        ("yes", "yes?"),
        ("\u0434\u0430", "\u043d\u0435\u0442"),
        ("gr\xfcn", "grun"),
        ("-5", "5"),
    ],
)
def test_other_classes_are_left_in_peace(classes):
    cells = [classes[row % len(classes)] for row in range(ROWS)]
    assert told(cells, task="classify") == ([], [])


@pytest.mark.parametrize("blank", ["\u200b", "\ufeff", " \ufeff ", "\xa0"])
def test_blanks_around_a_class_are_taken_off_after_saying_so(blank):
    cells = [f"{blank}a", f"a{blank}"] + ["a", "b"] * 29
    problem = resolve({"x": X, "label": cells}, make({"target": "label"}), folder=Path("unused"))
    assert problem.schema.target.statistics["classes"] == ["a", "b"]
    assert any("2 cells with blanks around" in note for note in problem.warnings)


def test_a_cell_of_invisible_blanks_has_no_class():
    cells = ["\u200b", "\ufeff "] + ["a", "b"] * 29
    problem = resolve({"x": X, "label": cells}, make({"target": "label"}), folder=Path("unused"))
    assert problem.schema.target.statistics["classes"] == ["a", "b"]


def test_categories_of_an_input_are_named_as_well():
    towns = ["Rome", "Paris", "New York", "New York"] * 15
    towns[2] = "New\xa0York"
    found = inspect_table({"town": towns, "x": X}).findings
    (finding,) = [f for f in found if f.columns == ("town",) and "differ" in f.what]
    assert finding.severity == "note"
    assert "'New York' (29)" in finding.what


def test_truth_values_of_an_input_are_one_in_any_case():
    found = inspect_table({"paid": ["True", "true", "FALSE", "false"] * 15, "x": X}).findings
    assert not [f for f in found if f.columns == ("paid",) and "differ" in f.what]


def test_a_ligature_is_no_matter_of_upper_and_lower_case():
    (said,), _ = told(["\ufb01ne"] * 2 + ["fine"] * 28 + ["bad"] * 30)
    assert "case" not in said
    (said,), _ = told(["FINE"] * 2 + ["\ufb01ne"] * 28 + ["bad"] * 30)
    assert "case" in said


def said_to_be_missing(cells):
    table, config = {"x": X, "label": cells}, make({"target": "label"})
    found = inspect_table(table, config=config).findings
    notes = resolve(table, config, folder=Path("unused")).warnings
    return [f.what for f in found if "missing" in f.what], [note for note in notes if "empty them" in note]


@pytest.mark.parametrize("word", ["nan", "None", "NULL", "N/A"])
def test_a_class_that_says_there_is_no_value_is_named_with_its_count(word):
    for said in said_to_be_missing([word] * 6 + ["yes"] * 24 + ["no"] * 30):
        (sentence,) = said
        assert f"{word!r} (6)" in sentence


@pytest.mark.parametrize("classes", [("None", "Mild", "Severe"), ("NA", "EU", "AS"), ("none", "mild"), ("yes", "no")])
def test_a_class_like_the_others_is_no_missing_value(classes):
    assert said_to_be_missing([classes[row % len(classes)] for row in range(ROWS)]) == ([], [])
