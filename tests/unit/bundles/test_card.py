"""The model card says what matters, and nothing in the data can write into it."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest
import yaml

from polymodal.bundles.card import in_brackets, model_card
from polymodal.config.run_config import make
from polymodal.metrics.alerts import Alert
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.results import Baselines, Results, RowCounts
from polymodal.schema import Column, Input, Schema, Target

CONFIG = make({"fusion": "concat"})
SCORE = Interval(0.9312, 0.9061, 0.9534)
METRICS = Results(
    test={"accuracy": SCORE, "log_loss": SCORE},
    validation={"accuracy": replace(SCORE, value=0.5)},
    baselines=Baselines(
        majority={"accuracy": replace(SCORE, value=0.25)}, gradient_boosting={}, linear_by_input={"a": {}}
    ),
    rows=RowCounts(train=70, unknown_class=2),
)


def make_card(name: str = "photo", *, target: str = "label", reason: str = "every cell differs", metrics=METRICS):
    columns = (
        Column(name=name, kind="image", modality="image", reason=""),
        Column(name=f"{name} id", kind="identifier", modality=None, reason=reason),
    )
    inputs = (Input(name=name, columns=(name,), modality="image", encoder="cnn"),)
    return model_card(
        Schema(columns=columns, inputs=inputs, target=Target(column=target, task="classify")), CONFIG, metrics
    )


def cells(line: str) -> list[str]:
    """The cells of a line of a table, split as Markdown splits it, as a reader sees them."""
    return [html.unescape(cell).strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_card_names_task_inputs_rows_and_results():
    card = make_card()
    assert "\n# Model for the column label\n" in card
    assert "task `classify`, fusion `concat`" in card
    assert "\n| photo | image | photo | cnn |\n" in card
    assert "\n- photo id: every cell differs\n" in card
    counts = "train 70, validation 0, test 0, unknown class 2, unlabelled 0, dropped 0, rejected cells 0, cleaned 0"
    assert f"Rows: {counts}. Divided by the method `auto`." in card
    assert "\n| metric | model, test | majority | gradient boosting |\n|---|---|---|---|\n" in card
    assert "\n| accuracy | 0.931 [0.906, 0.953] | 0.250 [0.906, 0.953] |  |\n" in card


def test_it_says_what_a_model_card_says():
    """The sections of Mitchell et al. 2019, and what is not known is said to be unknown."""
    card = make_card(metrics=METRICS.model_copy(update={"warnings": ("photo: 2 cells cut <b>",)}))
    for words in ("## Model details", "## Intended use", "## Training data", "## Results", "## Limits", "seed 0",
                  "licence: unknown", "prior", "neither training nor the choice of the model has seen",
                  "photo: 2 cells cut &#60;b>"):  # fmt: skip
        assert words in card


def test_the_front_matter_is_yaml_of_registered_names_only():
    lines = make_card("a: b\n- c", target="&x").splitlines()
    assert lines[0] == "---"
    front = yaml.safe_load("\n".join(lines[1 : lines.index("---", 1)]))
    assert front == {"library_name": "polymodal", "tags": ["polymodal", "multimodal", "classify", "image"]}


def test_without_test_rows_it_shows_the_validation_rows():
    card = make_card(metrics=METRICS.model_copy(update={"test": {}}))
    assert "| metric | model, validation |" in card
    assert "| accuracy | 0.500 [" in card


@pytest.mark.parametrize(
    "name",
    ["a|b", "a\\|b", "a\\", "<script>alert(1)</script>", "a\n\n# b\r\n| c |", "![x](http://a.example/p.png)", "`a`",
     "[a](javascript:b)", "&lt;b&gt;", "**a**", "--- \u2028 # a"],
)  # fmt: skip
def test_what_the_data_hold_only_shows(name):
    card, plain = make_card(name, target=name, reason=name), make_card()
    assert len(card.splitlines()) == len(plain.splitlines())
    shown = " ".join(name.split())
    number = plain.splitlines().index("| photo | image | photo | cnn |")
    assert cells(card.splitlines()[number]) == [shown, "image", shown, "cnn"]
    found = card.splitlines()
    lines = [next(line for line in found if line[:2] == "# "), *(line for line in found if line.endswith("cnn |"))]
    lines.append(found[found.index("Left out:") + 2])
    assert len(lines) == 3
    for line in lines:
        assert not re.search(r"[<`*\[\]\\]|&(?!#\d+;)", line)


def test_a_value_and_its_interval():
    assert in_brackets(SCORE) == "0.931 [0.906, 0.953]"
    assert in_brackets(None) == ""


def test_half_of_a_surrogate_pair_shows_as_its_escape():
    card = make_card("photo \ud800")
    assert "photo \\ud800" in html.unescape(card.encode().decode())


def test_it_says_what_the_weights_began_as_for_others_have_rights_to_it():
    settings = {"name": "bag", "vectors": "glove.txt"}
    entry = Input(name="note", columns=("note",), modality="text", encoder="bag", settings=settings)
    schema = Schema(columns=(), inputs=(entry,), target=Target(column="label", task="classify"))
    assert "The input note starts from glove.txt, whose own licence holds." in model_card(schema, make({}), METRICS)
    card = model_card(schema, make({"warm_start": "old/bundle"}), METRICS)
    assert "Weights began as those of the model old/bundle, whose own licence holds." in card
    assert "`config.json` repeats" not in card


def test_the_python_that_it_shows_can_be_imported():
    lines = [line.strip() for line in make_card().splitlines() if line.startswith("    from ")]
    assert len(lines) == 2
    for line in lines:
        exec(line)


def test_what_speaks_against_the_figures_is_a_limit():
    alert = Alert(kind="target_leakage", columns=("id",), text="id alone predicts label in 99.4 % of rows.")
    found = METRICS.model_copy(update={"alerts": (alert,), "warnings": (alert.text, "photo: 2 cells cut")})
    schema = Schema(columns=(), inputs=(), target=Target(column="label", task="classify"))
    limits = model_card(schema, make({}), found).partition("## Limits")
    assert "id alone predicts label in 99.4 % of rows." in html.unescape(limits[2])
    assert "id alone" not in limits[0] and "photo: 2 cells cut" in limits[0]
    assert "row_hashes" in limits[2]
    assert "row_hashes" not in model_card(schema, make({"bundle": {"row_hashes": False}}), found)
