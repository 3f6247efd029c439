"""A comparison within a budget: what matters most is measured, and nothing is begun that does not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_table import ROWS, TINY, rows

import polymodal.comparison.compare as comparing
from polymodal.comparison.compare import compare

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture
def priced(monkeypatch, untrained):
    """Every training takes ten seconds of a clock that nothing else moves."""
    guess = comparing.run_trial

    def trial(config, fold, **how):
        how["make_callbacks"]("train", 8, "accuracy")
        return replace(guess(config, fold, **how), seconds=10.0)

    class Clock(comparing.Clock):
        seconds = property(lambda self: 10.0 * len(untrained))

    monkeypatch.setattr(comparing, "run_trial", trial)
    monkeypatch.setattr(comparing, "Clock", Clock)
    return untrained


def statuses(found):
    return {line.entry.name: line.status for line in found.lines if line.entry.kind != "baseline"}


@pytest.mark.parametrize(("budget", "folds", "trainings"), [(1.0, 1, 2), (25.0, 1, 2), (49.0, 2, 4)])
def test_a_budget_goes_to_what_matters_most_on_as_many_folds_as_fit(priced, budget, folds, trainings):
    found = compare(rows(), "label", config=TINY, folds=2, fusions=["concat", "sum"], budget=budget)
    done = [name for name, status in statuses(found).items() if status == "done"]
    assert len(done) == 2 and done[0] == "concat" and done[1] in ("note only", "table only")  # not the noise
    assert len(priced) == trainings and all(line.trainings in (0, folds) for line in found.lines)
    assert (found.ended, found.rows) == ("budget", ROWS * folds // 2)
    assert {sentence.kind for sentence in found.findings} >= {"fusing", "incomplete"}
    assert {pair.second for pair in found.pairs} == {"majority", "linear", "gradient boosting", done[1]}


def test_what_does_not_fit_is_not_begun_and_said_with_its_time(priced):
    found = compare(rows(), "label", config=TINY, folds=2, fusions=["concat", "sum"], budget=70.0)
    assert len(priced) == 6  # and the fusion that was named before the inputs that were not
    assert statuses(found)["sum"] == "done" and set(statuses(found).values()) == {"done", "not run"}
    reasons = {line.reason for line in found.lines if line.status == "not run"}
    assert reasons == {"would take about 20 s"}
    assert "noise only (would take about 20 s)" in found.findings[-1].text
    assert any("70 s" in note or "1 min 10 s" in note for note in found.notes)


def test_a_budget_with_room_for_all_changes_nothing(priced):
    within = compare(rows(), "label", config=TINY, folds=2, budget="1h")
    without = compare(rows(), "label", config=TINY, folds=2)
    assert within.ended == without.ended == "complete"
    assert [line.entry.name for line in within.lines] == [line.entry.name for line in without.lines]
    assert [line.metrics for line in within.lines] == [line.metrics for line in without.lines]
    assert within.verdict == without.verdict


def test_ctrl_c_within_a_budget_leaves_what_all_have_measured(priced):
    def interrupt(said):
        if said.startswith("concat: 2 of 2"):
            raise KeyboardInterrupt

    found = compare(rows(), "label", config=TINY, folds=2, budget="1h", on_message=interrupt)
    assert found.ended == "interrupted" and found.rows == ROWS // 2
    assert statuses(found)["concat"] == "done"


def test_a_budget_too_short_for_one_training_gives_all_fewer_epochs():
    patient = {"epochs": 100_000, "early_stopping": {"patience": 100_000}}
    found = compare(rows(), "label", config=TINY | {"train": patient}, folds=2, budget=4.0)
    assert found.ended == "budget" and found.seconds < 60
    done = [line for line in found.lines if line.status == "done"]
    assert {"reference", "single", "baseline"} <= {line.entry.kind for line in done}
    assert "stopped" not in statuses(found).values()
    assert all(line.entry.config.train.epochs < 100_000 for line in done)
    assert any("of 100000 epochs" in note for note in found.notes)
    assert found.findings[0].kind == "fusing"
