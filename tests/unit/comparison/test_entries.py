"""Which entries a comparison has, and with which settings each is trained."""

import pytest

from polymodal.comparison.budget import Clock, OutOfTimeError, seconds_of
from polymodal.comparison.entries import plan, rest
from polymodal.config.run_config import make
from polymodal.errors import ConfigError

COLUMNS = {"photo": ("photo",), "note": ("note",), "table": ("size", "colour")}
BASE = make({"target": "label", "drop": ["id"], "train": {"epochs": 4}})


def named(entries):
    return {entry.name: entry for entry in entries}


def test_the_entries_in_the_order_of_their_use():
    found = plan(BASE, COLUMNS, fusions=("concat", "sum"), own={"small": {"encoders": {"text": "rnn"}}})
    assert [entry.name for entry in found] == [
        *("concat", "note only", "photo only", "table only"),
        *("without note", "without photo", "without table"),
        *("sum", "small"),
    ]
    assert [entry.kind for entry in found[:2]] == ["reference", "single"]
    by_name = named(found)
    assert by_name["without table"].inputs == ("note", "photo")
    assert set(by_name["without table"].config.drop) == {"id", "size", "colour"}
    assert set(by_name["table only"].config.drop) == {"id", "photo", "note"}
    assert by_name["sum"].config.fusion.name == "sum"


def test_of_two_inputs_leaving_one_out_is_the_other_alone():
    two = {name: COLUMNS[name] for name in ("photo", "note")}
    assert [entry.name for entry in plan(BASE, two)] == ["concat", "note only", "photo only"]
    assert [e.name for e in plan(BASE, two, singles=False)] == ["concat", "without note", "without photo"]
    assert [entry.name for entry in plan(BASE, {"note": ("note",)})] == ["concat"]


def test_the_first_fusion_is_the_reference_unless_the_configurations_own_is_among_them():
    assert plan(BASE, COLUMNS, fusions=("sum", "max"))[0].name == "sum"
    assert plan(BASE, COLUMNS, fusions=("sum", "concat"))[0].name == "concat"
    weighted = BASE.model_copy(update={"fusion": make({"fusion": "weighted"}).fusion})
    assert plan(weighted, COLUMNS, fusions=("all",))[0].name == "weighted"
    assert {"sum", "max", "concat"} <= set(named(plan(weighted, COLUMNS, fusions=("all",))))


def test_a_single_input_is_not_fused():
    gated = make({"target": "label", "fusion": {"name": "weighted"}})
    by_name = named(plan(gated, COLUMNS))
    assert by_name["note only"].config.fusion.name == "concat"
    assert by_name["without note"].config.fusion.name == "weighted"


def test_own_settings_lie_over_the_references_but_share_target_and_split(tmp_path):
    own = {"other": {"train": {"batch_size": 8}, "fusion": {"name": "sum"}, "seed": 7, "split": {"test": 0.5}}}
    base = make({"target": "label", "fusion": {"name": "concat", "width": 8}, "train": {"epochs": 4}})
    config = named(plan(base, COLUMNS, own=own))["other"].config
    assert (config.train.epochs, config.train.batch_size) == (4, 8)
    assert (config.fusion.name, config.fusion.settings) == ("sum", {})
    assert (config.seed, config.split.test, config.target) == (0, 0.2, "label")
    file = tmp_path / "own.yaml"
    file.write_text("drop: [note]\n")
    entry = named(plan(base, COLUMNS, own={"file": file}))["file"]
    assert entry.inputs == ("photo", "table")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"fusions": ("gatd",)}, "No fusion is called 'gatd'. Did you mean 'gated'"),
        ({"stages": ("lat",)}, "No stage is called 'lat'"),
        ({"own": {"note only": {}}}, "two entries are called 'note only'"),
        ({"own": {"mine": {"fusin": "sum"}}}, "entry 'mine': unknown key 'fusin'. Did you mean 'fusion'"),
    ],
)
def test_a_typo_is_told_before_anything_is_trained(asked, words):
    with pytest.raises(ConfigError, match=words):
        plan(BASE, COLUMNS, **asked)


def test_what_seems_needless_is_left_out_together():
    entry = rest(BASE, {**COLUMNS, "sound": ("sound",)}, ("table", "sound"))
    assert entry is not None
    assert (entry.name, entry.kind, entry.inputs) == ("note + photo", "rest", ("note", "photo"))
    assert set(entry.config.drop) == {"id", "size", "colour", "sound"}
    assert rest(BASE, COLUMNS, ("table",)) is None  # that is an ablation
    assert rest(BASE, COLUMNS, ("table", "note")) is None  # that is a single input


def test_branches_of_inputs_that_are_left_out_are_left_out_too():
    late = make({"target": "label", "stage": {"name": "late", "branches": {"photo": "logistic", "note": "svm"}}})
    config = named(plan(late, COLUMNS))["without photo"].config
    assert config.stage.settings["branches"] == {"note": "svm"}


@pytest.mark.parametrize(("words", "seconds"), [("15m", 900), ("1.5h", 5400), (30.0, 30), ("90s", 90), ("0.2", 0.2)])
def test_durations(words, seconds):
    assert seconds_of(words) == pytest.approx(seconds)


@pytest.mark.parametrize("words", ["15 parsecs", "-3", "0", "", "m"])
def test_what_is_no_duration_is_refused(words):
    with pytest.raises(ConfigError, match="is no time"):
        seconds_of(words)


def test_a_clock_without_a_budget_never_rings():
    Clock().check()
    with pytest.raises(OutOfTimeError):
        Clock(-1.0).check()
