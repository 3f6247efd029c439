"""Comparisons that are trained: small tables on which it is known what helps."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from small_table import ROWS, TINY, rows

import polymodal.comparison.compare as comparing
import polymodal.comparison.trial as trials
from polymodal.comparison.compare import compare
from polymodal.config.run_config import make
from polymodal.data.tables.table import read_table
from polymodal.errors import ConfigError, DataError, NonFiniteLossError
from polymodal.modalities.image import Image

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "_TIMED_ROWS", 2)
        return compare(rows(), "label", config=TINY, fusions=["concat", "sum"], folds=2)


def test_every_entry_is_measured_on_all_rows(found):
    assert found.ended == "complete"
    assert [line.entry.name for line in found.lines] == [
        *("majority", "linear", "gradient boosting", "concat", "noise only", "note only", "table only"),
        *("without noise", "without note", "without table", "sum"),
    ]
    assert all(line.status == "done" and line.trainings == 2 for line in found.lines)
    assert found.rows == ROWS
    assert found.metric == "accuracy"


def test_the_verdict_is_what_is_known_of_the_table(found):
    decision = {(finding.kind, finding.subject): finding.decision for finding in found.findings}
    assert decision["input", ("note",)] == decision["input", ("table",)] == "adds"
    assert decision["input", ("noise",)] in ("nothing", "unclear")
    assert [value for (kind, _), value in decision.items() if kind == "fusing"] == ["better"]
    assert ("note", "table") in [subject for kind, subject in decision if kind == "enough"]


def test_lines_have_sizes_times_and_intervals(found):
    by_name = {line.entry.name: line for line in found.lines}
    assert by_name["concat"].parameters > by_name["note only"].parameters > 0
    assert by_name["majority"].parameters is by_name["majority"].latency is None
    assert 0 < by_name["concat"].latency < 10
    for line in found.lines:
        interval = line.metrics["accuracy"]
        assert interval.low <= interval.value <= interval.high
        assert interval.value == pytest.approx(np.mean(line.folds), abs=0.02)
    pair = found.pair("concat", "table only")
    assert pair.differs and pair.difference.interval.low > 0
    assert found.pair("table only", "concat").difference.interval.high < 0
    assert found.pair("note only", "table only") is None


def test_results_are_json_and_a_table_for_people(found):
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["schema"] == 1
    assert [entry["name"] for entry in values["entries"]] == [line.entry.name for line in found.lines]
    assert values["entries"][3]["config"]["fusion"]["name"] == "concat"
    assert values["entries"][0]["config"] is None  # a baseline
    text = str(found)
    assert text.splitlines()[0].split() == [
        *("entry", "accuracy", "against", "concat", "p", "parameters", "training", "s", "one", "row", "ms")
    ]
    assert found.verdict in text


def test_the_reference_is_held_against_its_additive_projection(found):
    interactions, line = found.interactions, next(line for line in found.lines if line.entry.name == "concat")
    assert interactions.rows == ROWS
    assert interactions.model.value == pytest.approx(line.metrics["accuracy"].value, abs=1e-9)
    assert interactions.additive.value > 0.9  # each of the inputs tells one bit by itself
    values = found.to_dict()["interactions"]
    assert values["additive"]["value"] == interactions.additive.value and values["rows"] == ROWS
    (sentence,) = [finding for finding in found.findings if finding.kind == "interactions"]
    assert sentence.subject == ("concat",) and sentence.decision != "used"


def test_interactions_that_the_label_asks_for_are_found_and_a_single_input_has_none():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (160, 2))
    first, second = (2 * bits.T - 1)[..., None] * 1.0 + rng.normal(0, 0.1, (2, 160, 2))
    table = {"first": first.tolist(), "second": second.tolist(), "label": [str(a ^ b) for a, b in bits]}
    how = {"folds": 2, "singles": False, "ablations": False}
    config = TINY | {"train": TINY["train"] | {"epochs": 12}, "inputs": {"keep": "all"}}
    found = compare(table, "label", config=config, fusions=["product"], **how)
    interactions = found.interactions
    assert interactions.model.value > 0.9 and interactions.additive.value < 0.75
    assert interactions.differs and interactions.difference.interval.low > 0
    assert next(f for f in found.findings if f.kind == "interactions").decision == "used"
    del table["second"]
    alone = compare(table, "label", config=TINY | {"train": {"epochs": 1}}, **how)
    assert alone.interactions is None and alone.to_dict()["interactions"] is None


def test_out_of_fold_scores_are_those_of_models_that_did_not_see_the_row(monkeypatch):
    """Each fold's training and test rows are disjoint, and all entries have the same ones."""
    runs = []

    def watched(table, config, **how):
        run = trials_train(table, config, **how)
        runs.append(run)
        return run

    trials_train = trials.train
    monkeypatch.setattr(trials, "train", watched)
    compare(rows(), "label", config=TINY, folds=3, ablations=False, singles=False, fusions=["concat", "max"])
    assert len(runs) == 2 * 3
    for place, run in enumerate(runs):
        learned = {*run.split.train.tolist(), *run.split.validation.tolist()}
        assert learned.isdisjoint(run.measured.rows.tolist())
        assert np.array_equal(run.measured.rows, runs[place % 3].measured.rows)
        assert np.array_equal(run.split.train, runs[place % 3].split.train)
        assert run.refit is None and run.bundle.metrics.baselines.reports == {}
    assert sorted(row for run in runs[:3] for row in run.measured.rows.tolist()) == list(range(ROWS))


def test_media_are_decoded_once_however_many_entries(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for k in range(48):
        Picture.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(tmp_path / f"{k}.png")
    table = {"photo": [f"{k}.png" for k in range(48)], "size": rng.normal(size=48).tolist(), "label": ["a", "b"] * 24}
    table = read_table(table, folder=tmp_path)
    config = {
        "train": {"epochs": 1},
        "modalities": {"image": {"size": 8}},
        "encoders": {"image": {"name": "cnn", "width": 4, "channels": 4, "blocks": 1}},
    }
    reads, read = [], Image.read

    def counted(self, cell):
        reads.append(len(cell))
        return read(self, cell)

    monkeypatch.setattr(Image, "read", counted)
    found = compare(table, "label", config=config, folds=2, fusions=["concat", "sum"])
    assert len(reads) == 48  # in five times two trainings, for the baselines, and for the additive projection
    assert found.interactions.rows == 48


def test_cells_that_cannot_be_read_are_told_once_with_place_and_reason():
    table = rows(24)
    table["size"][5] = "no number"
    columns = {name: {"modality": kind} for name, kind in (("size", "number"), ("note", "vector"), ("noise", "vector"))}
    config = TINY | {"columns": columns, "train": {"epochs": 1}}
    found = compare(table, "label", folds=2, singles=False, ablations=False, config=config)
    told = [note for note in found.notes if "could not be read" in note]
    assert len(told) == 1
    assert told[0].startswith("1 cell could not be read")
    assert "row 5" in told[0] and "'size'" in told[0] and "no number" in told[0]


def test_test_rows_of_a_split_column_are_left_alone(untrained):
    table = rows() | {"side": ["test" if k < 20 else "train" for k in range(ROWS)]}
    config = TINY | {"split": {"column": "side"}}
    found = compare(table, "label", config=config, folds=2, singles=False, ablations=False)
    assert found.rows == ROWS - 20
    assert "20 test rows of the column 'side' are left alone" in found.notes[0]
    assert all("side" in fold.config(config).drop for config, fold in untrained)
    measured = compare(table, "label", config=config, folds=1, singles=False, ablations=False)
    assert measured.rows == 20
    assert "Measured on the test rows (the column 'side')" in measured.notes[0]


def test_ctrl_c_ends_it_with_what_there_is(untrained):
    def interrupt(said):
        if said.startswith("note only: 1 of 2"):
            raise KeyboardInterrupt

    found = compare(rows(), "label", config=TINY, folds=2, on_message=interrupt)
    assert found.ended == "interrupted"
    assert [line.entry.name for line in found.lines if line.status == "done"] == [
        "majority", "linear", "gradient boosting", "concat", "noise only"
    ]  # fmt: skip


def test_an_entry_that_fails_is_left_out_and_said(monkeypatch, untrained):
    def fails(config, fold, **how):
        if config.fusion.name == "sum":
            raise NonFiniteLossError("The loss is NaN for row 3.")
        return run_trial(config, fold, **how)

    run_trial = comparing.run_trial
    monkeypatch.setattr(comparing, "run_trial", fails)
    how = {"config": TINY, "folds": 2, "singles": False, "ablations": False}
    found = compare(rows(), "label", fusions=["concat", "sum"], **how)
    line = next(line for line in found.lines if line.entry.name == "sum")
    assert (line.status, line.reason) == ("failed", "The loss is NaN for row 3.")
    assert found.findings[-1].text == "Failed, and left out: sum."
    with pytest.raises(NonFiniteLossError):  # nothing can be held against it
        compare(rows(), "label", fusions=["sum", "max"], **how)


def test_inputs_that_seem_needless_are_left_out_together(untrained):
    table = rows()
    table["hiss"] = np.random.default_rng(1).normal(size=(ROWS, 3)).tolist()
    found = compare(table, "label", fusions=["concat", "sum"], config=TINY, folds=2, singles=False)
    names = [line.entry.name for line in found.lines]
    assert names[-2:] == ["note + table", "sum"]
    rest = found.lines[-2]
    assert (rest.entry.kind, rest.entry.inputs, rest.status) == ("rest", ("note", "table"), "done")


@pytest.mark.parametrize(
    ("target", "task", "metric", "baselines"),
    [
        ("price", {}, "r2", ["mean", "linear", "gradient boosting"]),
        ("tags", {}, "macro_average_precision", ["prevalence", "linear", "gradient boosting"]),
        ("grade", {"task": "ordinal"}, "quadratic_weighted_kappa", ["majority", "linear", "gradient boosting"]),
    ],
)
def test_every_task_is_compared_by_its_own_metric(target, task, metric, baselines):
    table = rows(48)
    bits = np.array([[int(bit) for bit in label] for label in table.pop("label")])
    rng = np.random.default_rng(1)
    table[target] = {
        "price": (bits.sum(axis=1) * 10 + rng.normal(0, 1, 48)).tolist(),
        "tags": ["|".join(name for name, bit in zip("ab", row, strict=True) if bit) or "c" for row in bits],
        "grade": bits.sum(axis=1).tolist(),
    }[target]
    found = compare(table, target, config=TINY | task, folds=2, ablations=False, singles=False)
    assert found.metric == metric
    assert [line.entry.name for line in found.lines][:3] == baselines
    assert all(line.status == "done" for line in found.lines)
    assert all(math.isfinite(line.metrics[metric].value) for line in found.lines)


def test_the_same_seed_gives_the_same_figures_and_the_callers_random_numbers_stay(monkeypatch):
    def values():
        found = compare(rows(48), "label", config=TINY, folds=2, singles=False, ablations=False)
        return [line.metrics for line in found.lines], [pair.p for pair in found.pairs]

    monkeypatch.setattr(comparing, "run_baselines", lambda *_, **__: {})
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = values()
    assert torch.equal(torch.rand(1), expected)
    assert values() == first


def test_repeats_have_other_folds_and_other_seeds_and_groups_stay_whole(untrained):
    table = rows() | {"voice": [f"v{k % 12}" for k in range(ROWS)]}
    config = TINY | {"split": {"method": "group", "by": "voice"}, "seed": 3}
    how = {"config": config, "folds": 2, "repeats": 2, "singles": False, "ablations": False}
    found = compare(table, "label", fusions=["concat", "max"], **how)
    seen = [(f.repeat, f.config(config).seed, tuple(f.table.values(f.split.column))) for config, f in untrained]
    assert [(repeat, seed) for repeat, seed, _ in seen] == 2 * [(0, 3), (0, 3), (1, 4), (1, 4)]
    assert seen[0][2] != seen[2][2]
    for _, _, sides in seen:
        voices = [{side for side, v in zip(sides, table["voice"], strict=True) if v == f"v{k}"} for k in range(12)]
        assert all(len(of_voice) == 1 for of_voice in voices)
    pair = found.pair("concat", "max")
    assert pair.difference.p == max(pair.difference.p_rows, pair.difference.p_trainings)


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"fusions": ["gatd"]}, ConfigError, "Did you mean 'gated'.*Known: .*concat"),
        ({"fusions": ["attention"], "stages": ["late"]}, ConfigError, "no tokens to attend to"),
        ({"folds": 0}, ConfigError, "numbers from 1"),
        ({"folds": 40}, DataError, "40 folds need 40 rows of every class"),
        ({"budget": "soon"}, ConfigError, "'soon' is no time"),
        ({"config": TINY | {"bad_cells": "drop"}}, ConfigError, "same rows"),
        ({"config": TINY | {"split": {"test": 0}}, "folds": 1}, ConfigError, "needs test rows"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_trained(monkeypatch, how, error, words):
    monkeypatch.setattr(comparing, "run_baselines", lambda *_, **__: pytest.fail("trains"))
    with pytest.raises(error, match=words):
        compare(rows(), "label", **{"config": TINY, **how})


def test_of_all_fusions_those_that_a_stage_refuses_are_said():
    about = comparing.subject(rows(), "label", TINY | {"stage": "late"}, folds=2, repeats=1, purpose="compare")
    planned, refused = about.possible(comparing.plan(about.config, about.columns, fusions=("all",)), forgiving=True)
    assert not {"late: attention", "late: bottleneck"} & {entry.name for entry in planned}
    assert any(said.startswith("Left out, late: attention: stage 'late'") for said in refused)


def test_quick_is_half_of_the_epochs_and_no_refit():
    about = comparing.subject(rows(), "label", {}, folds=3, repeats=1, purpose="compare")
    train = comparing.quick(about).train
    assert (train.epochs, train.final) == (20, "best")
    said = comparing.subject(rows(), "label", make(TINY), folds=3, repeats=1, purpose="compare")
    assert comparing.quick(said).train.epochs == 5
