"""What fits into a budget, and which budget would have been enough; all by a clock of the test's own."""

from __future__ import annotations

import math

import pytest

from polymodal.metrics.history import EpochRecord, History
from polymodal.models.budget import Budget


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def make_budget(seconds: float) -> tuple[Budget, Clock]:
    clock = Clock()
    return Budget(seconds, clock=clock), clock


def history(num: int, seconds: float = 1.0) -> History:
    return History([EpochRecord(k, 0.0, None, {}, 1.0, seconds, 0.1) for k in range(1, num + 1)], best_epoch=num)


def test_epochs_fill_three_quarters_of_what_is_left_before_the_reserve():
    budget, clock = make_budget(100.0)
    clock.now += 5  # 85 seconds are for learning: 80 are left, 60 of them for epochs
    assert budget.left == pytest.approx(80)
    assert budget.plan("train", 40, epoch=4.9).planned == 12
    assert budget.plan("train", 40, epoch=1.0).planned == 40  # never more than were asked for
    assert budget.plan("train", 40, epoch=1000.0).planned == 1
    clock.now += 200
    assert budget.plan("train", 40, epoch=0.01).planned == 1


def test_trainings_that_are_to_come_share_the_time():
    budget, _ = make_budget(100.0)
    assert [budget.plan("train:a", 99, epoch=1.0, trainings=num).planned for num in (1, 3)] == [63, 21]


def test_measuring_is_kept_time_for():
    budget, _ = make_budget(100.0)
    assert budget.plan("train", 99, epoch=1.0, measuring=10.0).planned == 56


def test_without_a_limit_everything_fits_and_nothing_is_said():
    budget = Budget()
    assert budget.affords(1e9) and budget.affords_member("linear", lambda: 1e9) and budget.affords_baselines()
    assert budget.affords_final({"train": history(3, 1e9)}, share=1.0, growth=1.0, rest=1e9)
    assert budget.deadline == math.inf and budget.sentences() == ()


def test_a_member_that_is_too_slow_is_left_out_for_good():
    budget, clock = make_budget(100.0)
    asked = list[str]()

    def predict(name: str, seconds: float) -> float:
        asked.append(name)
        return seconds

    assert budget.affords_member("linear", lambda: predict("linear", 70.0))
    assert not budget.affords_member("gradient_boosting", lambda: predict("gradient_boosting", 71.0))  # and a margin
    clock.now += 99  # in folds, and in the final training, it is as it was decided
    assert budget.affords_member("linear", lambda: predict("linear", 70.0))
    assert not budget.affords_member("gradient_boosting", lambda: predict("gradient_boosting", 0.1))
    assert asked == ["linear", "gradient_boosting"]
    assert not budget.affords_member("late", lambda: predict("late", 0.0))  # nothing is left


def test_the_final_training_is_done_if_it_fits():
    budget, clock = make_budget(100.0)
    budget.plan("train", 40, epoch=1.0)
    clock.now += 40
    done = {"train": history(40)}
    assert budget.affords_final(done, share=0.25, growth=1.0, rest=25.0)  # 35 seconds and a margin of 45
    assert not budget.affords_final(done, share=0.25, growth=1.2, rest=25.0)
    assert "no final training" in budget.sentences()[0]


def test_baselines_may_use_the_reserve():
    budget, clock = make_budget(100.0)
    budget.members = 10.0
    clock.now += 87
    assert budget.left < 0 and budget.affords_baselines()
    clock.now += 2
    assert not budget.affords_baselines()
    assert "no baselines" in budget.sentences()[0]


@pytest.mark.parametrize("epochs", [40, 8], ids=["all epochs", "stopped early"])
def test_a_budget_that_was_enough_says_so(epochs):
    budget, clock = make_budget(600.0)
    budget.plan("train", 40, epoch=1.0)
    clock.now += epochs
    budget.note("train", history(epochs), planned=40)
    (said,) = budget.sentences()
    assert "10 min: all of it ran" in said and f"{epochs} s" in said


def test_it_says_what_more_time_would_have_bought():
    budget, clock = make_budget(100.0)
    budget.plan("train", 100, epoch=1.0)
    clock.now += 63
    budget.note("train", history(63), planned=63)
    (said,) = budget.sentences()
    assert "1 min 40 s" in said and "63 of 100 epochs" in said and "about 3 min" in said


@pytest.mark.parametrize(
    ("epoch", "asked", "trainings", "rest", "before"),
    [(1.0, 100, 1, 0.0, 0.0), (3.0, 200, 1, 40.0, 20.0), (0.5, 500, 3, 300.0, 5.0), (40.0, 30, 2, 1.0, 70.0)],
)
def test_with_the_budget_that_it_names_all_fits(epoch, asked, trainings, rest, before):
    def run(seconds: float) -> Budget:
        budget, clock = make_budget(seconds)
        clock.now += before
        histories = {}
        for place in range(trainings):
            phase = f"train:{place}"
            found = budget.plan(phase, asked, epoch=epoch, trainings=trainings - place)
            histories[phase] = history(found.planned, epoch)
            clock.now += found.planned * epoch
            budget.note(phase, histories[phase], planned=found.planned)
        if budget.affords_member("linear", lambda: rest):
            clock.now += rest
            budget.members = rest
        if budget.affords_final(histories, share=1.0, growth=1.2, rest=budget.members):
            clock.now += 1.2 * (trainings * asked * epoch + rest)
        return budget

    short = run(80.0)
    assert "all of it would have run" in short.sentences()[0]
    enough = run(short.enough)
    assert "all of it ran" in enough.sentences()[0] and len(enough.sentences()) == 1


def test_going_over_is_said_with_what_took_longest():
    budget, clock = make_budget(20.0)
    budget.steps["reading the table"] = 2.0
    budget.plan("train", 40, epoch=30.0)
    clock.now += 33
    budget.note("train", history(1, 30.0), planned=1)
    first, second = budget.sentences()
    assert first.startswith("Budget of 20 s: 1 of 40 epochs.")
    assert second == "The run took 33 s, 13 s more than its budget. One epoch alone took 30 s."


def test_a_training_that_the_deadline_ended_says_what_was_planned():
    budget, clock = make_budget(100.0)
    found = budget.plan("train:photo", 100, epoch=1.0)
    clock.now = found.deadline
    budget.note("train:photo", history(50, 1.5), planned=63)
    assert budget.sentences()[0].startswith("Budget of 1 min 40 s: photo: 50 of 100 epochs (63 were planned).")
