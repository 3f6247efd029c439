"""Plans the trainings of a run within its budget: how many epochs each has, when it has to end, and the final one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from polymodal.data.cells.dataset import Loader
from polymodal.data.split.split import Split
from polymodal.metrics.history import History
from polymodal.models.budget import Budget
from polymodal.models.stage import Stage
from polymodal.training.objective import Objective
from polymodal.training.plan import Plan
from polymodal.training.speed import measure_speed

_MEASURING = 0.05  # of the time that is left, for each of: updates, predictions, a whole epoch
_TOKENS = "computing the tokens of frozen encoders"


@dataclass
class TimePlan:
    """What a trainer plans with the budget of its run; without a limit all stays as the settings say.

    Attributes:
        split: whose validation and test rows the trained model will predict when it is measured.
        trainings: how many the stage takes, which share the time.
        trained: seconds of all trainings so far, and of the tokens of frozen encoders.
    """

    budget: Budget
    split: Split
    trainings: int
    trained: float = 0.0

    def __post_init__(self) -> None:
        self.began = self.budget.spent
        self.budget.steps["reading the table"] = self.began

    def plan(self, phase: str, plan: Plan, objective: Objective, train: Loader, validation: Loader | None) -> Plan:
        """The plan of a training, with as many epochs as its part of the budget has room for.

        Trainings that repeat others, such as the final one, keep theirs: who asks for them knows how long they take.
        """
        budget = self.budget
        if not budget.limited:
            return plan
        kind = phase.partition(":")[0]
        plan = replace(plan, deadline=budget.deadline, clock=budget.clock)
        if kind != "train":
            return plan
        trainings = max(1, self.trainings - len(budget.trainings))
        epoch = row = 0.0
        if budget.left > 0:
            seconds = _MEASURING * budget.left / trainings
            speed = measure_speed(objective, train, validation, plan=plan, seconds=seconds)
            epoch, row = speed.epoch, speed.row
        rows = len(self.split.validation) + 2 * len(self.split.test)  # the latter also with inputs masked
        found = budget.plan(phase, plan.epochs, epoch=epoch, trainings=trainings, measuring=rows * row)
        return replace(plan, epochs=found.planned, deadline=found.deadline)

    def trained_since(self, start: float, phase: str, plan: Plan, history: History) -> None:
        """Takes down a training that began at that time of the budget."""
        self.trained += self.budget.spent - start
        self.budget.note(phase, history, planned=plan.epochs)

    def encoded_since(self, start: float) -> None:
        """Takes down that tokens of frozen encoders were computed."""
        seconds = self.budget.spent - start
        self.trained += seconds
        self.budget.steps[_TOKENS] = self.budget.steps.get(_TOKENS, 0.0) + seconds

    def affords_final(self, stage: Stage, histories: Mapping[str, History]) -> bool:
        """Whether there is time to train once more, on train and validation rows, after the first training."""
        budget, split = self.budget, self.split
        growth = 1 + len(split.validation) / max(1, len(split.train))
        rest = budget.members if stage.joint else budget.spent - self.began - self.trained
        return budget.affords_final(histories, share=stage.refit_epochs, growth=growth, rest=rest)

    def failure(self) -> str | None:
        """Says so where the final training did not end in time."""
        if not any(phase.partition(":")[0] == "refit" for phase in self.budget.unfinished):
            return None
        self.budget.leave_out_final()
        return "The final training did not end within the budget. The model of the first is kept."
