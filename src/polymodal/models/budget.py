"""The time that a run may take: what fits into it, what is left out for it, and how much would have been enough."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from polymodal.config.duration import in_words, rounded_up, seconds_of
from polymodal.metrics.history import History

_RESERVE, _MOST_RESERVED = 0.15, 0.5  # of all: kept for measuring and saving
_EPOCHS, _LAST_EPOCH = 0.75, 0.9  # of what is left before the reserve: planned, and when no epoch may end any more
_MARGIN = 1.2  # on the prediction of what is done as a whole or not at all
_FINAL, _BASELINES = "final training", "baselines"


@dataclass(frozen=True)
class TimedTraining:
    """One training with validation rows, in the time that it has.

    Attributes:
        asked: epochs, by the settings.
        planned: epochs that fit.
        deadline: no epoch starts that would end after it, on the clock of the budget.
        done: epochs.
        epoch: seconds of one.
        timed_out: it ended before the planned epochs, because of the deadline.
    """

    asked: int
    planned: int
    deadline: float
    done: int = 0
    epoch: float = 0.0
    timed_out: bool = False

    @property
    def epochs(self) -> int:
        """Those that the time allowed; early stopping may have ended it before."""
        return self.done if self.timed_out else self.planned


class Budget:
    """The time that a run may take, from when this is made; without `seconds` there is no limit, and nothing is said.

    Args:
        seconds: of the whole run, with measuring.
        clock: seconds, from any start.

    Attributes:
        members: seconds in which the other members of an ensemble were fitted.
        unfinished: trainings that repeat others, and did not end before the deadline.
        final: seconds that the final training takes after all epochs that were asked for; 0: none is asked for.
        left_out: what did not fit, and the seconds that it would have taken.
    """

    def __init__(self, seconds: float = math.inf, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds, self.clock, self.start, self._cpu_start = seconds, clock, clock(), _cpu_seconds()
        self.trainings: dict[str, TimedTraining] = {}
        self.steps: dict[str, float] = {}
        self.members = self.final = self._measuring = 0.0
        self.left_out: dict[str, float] = {}
        self.unfinished, self._fitted = set[str](), set[str]()
        self._began: float | None = None
        self._late = False

    @classmethod
    def of(cls, duration: str | float | None, clock: Callable[[], float] = time.perf_counter) -> Budget:
        """That of a setting; None: no limit."""
        return cls(math.inf if duration is None else seconds_of(duration), clock=clock)

    @property
    def limited(self) -> bool:
        """There is a limit."""
        return self.seconds < math.inf

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.start

    @property
    def cpu_spent(self) -> float:
        """CPU seconds since the start."""
        return _cpu_seconds() - self._cpu_start

    @property
    def deadline(self) -> float:
        """When learning has to end, on the clock: before the reserve."""
        reserve = min(_RESERVE * self.seconds + self._measuring, _MOST_RESERVED * self.seconds)
        return self.start + self.seconds - (reserve if self.limited else 0.0)

    @property
    def left(self) -> float:
        """Seconds for learning; below zero where they are over."""
        return self.deadline - self.clock()

    def affords(self, seconds: float) -> bool:
        """Whether there is time before the deadline for what takes so long."""
        return not self.limited or 0 < self.left >= _MARGIN * seconds

    def affords_baselines(self) -> bool:
        """Whether there is time for the baselines, which take as long as the members; they may use the reserve."""
        seconds = self.members + self._members_left_out
        if not self.limited or 0 < self.seconds - self.spent >= _MARGIN * seconds:
            return True
        self.left_out[_BASELINES] = seconds
        return False

    def affords_member(self, name: str, predict: Callable[[], float]) -> bool:
        """Whether a member is to be fitted; what was decided once stays, in folds and in the final training."""
        if not self.limited or name in self._fitted:
            return True
        if name in self.left_out:
            return False
        seconds = predict() if self.left > 0 else 0.0
        if self.affords(seconds):
            self._fitted.add(name)
            return True
        self.left_out[name] = seconds
        return False

    def affords_more(self, name: str) -> bool:
        """Whether a member may still be fitted: it was not left out, and there is time."""
        return self.affords_member(name, lambda: 0.0) if self.left <= 0 else name not in self.left_out

    def affords_part(self, what: str, seconds: float) -> bool:
        """Whether there is time for something; else it is said to be left out."""
        if not self.affords(seconds):
            self.left_out[what] = seconds
        return what not in self.left_out

    def affords_final(self, histories: Mapping[str, History], *, share: float, growth: float, rest: float) -> bool:
        """Whether there is time for the final training.

        Args:
            histories: of the trainings that it repeats, by phase.
            share: of the best epochs, that it takes.
            growth: rows that it learns from, as a multiple of those before.
            rest: seconds of all but the epochs.
        """
        if not self.limited:
            return True
        self.final = growth * (share * sum(self._asked().values()) + rest + self._members_left_out)
        if self.affords(growth * (repeated(histories, share) + rest)):
            return True
        self.leave_out_final()
        return False

    def leave_out_final(self) -> None:
        """It began, and did not end in time."""
        self.left_out[_FINAL] = self.final

    def plan(
        self, phase: str, asked: int, *, epoch: float, trainings: int = 1, measuring: float = 0.0
    ) -> TimedTraining:
        """As many epochs as fit into the part of a training, at least one.

        Args:
            phase: names it.
            asked: epochs at most.
            epoch: seconds of one.
            trainings: that are to come, with this one.
            measuring: seconds in which the model will predict the rows that it is measured on.
        """
        self._measuring = max(self._measuring, measuring)
        self._began = self.spent if self._began is None else self._began
        self._late = self._late or self.left <= 0
        left = max(0.0, self.left) / max(1, trainings)
        fitting = _EPOCHS * left / epoch if epoch > 0 else math.inf if left else 0.0
        planned = asked if fitting >= asked else max(1, int(fitting))
        found = TimedTraining(asked, planned, self.clock() + _LAST_EPOCH * left, epoch=epoch)
        self.trainings[phase] = found
        return found

    def note(self, phase: str, history: History, *, planned: int) -> None:
        """Takes down how a training of so many epochs went."""
        found, done = self.trainings.get(phase), len(history.epochs)
        if found is None and done < planned and self.limited:
            self.unfinished.add(phase)
        if found is not None and done:
            epoch = sum(record.seconds for record in history.epochs) / done
            timed_out = done < planned and self.clock() + history.pace > found.deadline
            self.trainings[phase] = replace(found, done=done, epoch=epoch, timed_out=timed_out)

    def sentences(self) -> tuple[str, ...]:
        """What became of the plan, what more time would have bought, and by how much the run went over."""
        if not self.limited:
            return ()
        spent, budget = self.spent, f"Budget of {in_words(self.seconds)}"
        short = [*self._cut_trainings(), *(f"no {what}" for what in self.left_out)]
        if short:
            found = [f"{budget}: {', '.join(short)}. With about {in_words(self.enough)} all of it would have run."]
        else:
            found = [f"{budget}: all of it ran, in {in_words(spent)}."]
        over = spent - self.seconds
        if over > 0:
            found.append(f"The run took {in_words(spent)}, {in_words(over)} more than its budget.{self._slowest()}")
        elif self._late:
            found.append(f"The time for learning was over before the training began.{self._slowest()}")
        return tuple(found)

    @property
    def enough(self) -> float:
        """Seconds with which nothing would have been left out, rounded up: with them, `plan` finds room for all."""
        asked, before = self._asked(), (self._began or 0.0) + self._measuring
        others = self.members + self._members_left_out
        epochs = len(asked) * max(asked.values(), default=0.0)
        learned = before + sum(asked.values()) + _MARGIN * (others + self.final)
        shared = before + epochs / _EPOCHS
        measured = self.spent + sum(self.left_out.values())
        return rounded_up(max(1.1 * self.seconds, max(learned, shared, measured) / (1 - _RESERVE)))

    @property
    def _members_left_out(self) -> float:
        return sum((seconds for name, seconds in self.left_out.items() if name not in (_FINAL, _BASELINES)), 0.0)

    def _asked(self) -> dict[str, float]:
        """Seconds of all epochs that were asked for, by training."""
        return {phase: one.asked * one.epoch for phase, one in self.trainings.items()}

    def _slowest(self) -> str:
        epochs = [("one epoch", one.epoch) for one in self.trainings.values() if one.epochs == 1]
        step, seconds = max([*self.steps.items(), *epochs], key=lambda item: item[1], default=("", 0.0))
        return f" {step[:1].upper()}{step[1:]} alone took {in_words(seconds)}." if seconds > 0 else ""

    def _cut_trainings(self) -> list[str]:
        found = []
        for phase, one in self.trainings.items():
            if one.epochs < one.asked:
                name = phase.partition(":")[2]
                planned = f" ({one.planned} were planned)" if one.epochs < one.planned else ""
                found.append(f"{name and f'{name}: '}{one.epochs} of {one.asked} epochs{planned}")
        return found


def _cpu_seconds() -> float:
    """Of this process, with its threads, and of those that it started and that ended."""
    return sum(os.times()[:4])


def repeated(histories: Mapping[str, History], share: float = 1.0) -> float:
    """Seconds of trainings for a share of the epochs that were best."""
    found = 0.0
    for history in histories.values():
        if history.epochs:
            epoch = sum(record.seconds for record in history.epochs) / len(history.epochs)
            found += max(1, round(share * history.best_epoch)) * epoch
    return found
