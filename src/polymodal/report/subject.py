"""What a report is about, in one hand for its sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polymodal.abilities import Outcome
from polymodal.metrics.results import Report, Results
from polymodal.report.drawing import Pen
from polymodal.report.previewer import Previewer

if TYPE_CHECKING:
    from polymodal.pipeline.run import Run


@dataclass(frozen=True)
class ReportedRun:
    """A finished run, and what draws and shows.

    Attributes:
        outcomes: of the measured rows.
        place: of the bundle, as a command names it.
    """

    run: Run
    outcomes: list[Outcome]
    pen: Pen
    previewer: Previewer
    place: str

    @property
    def results(self) -> Results:
        """Everything that was measured and counted."""
        return self.run.bundle.metrics

    @property
    def side(self) -> str:
        """Where the figures were measured."""
        return self.results.side

    @property
    def report(self) -> Report:
        """The figures of the model."""
        return self.results.measured

    @property
    def main_metric(self) -> str | None:
        """The one to look at first; None where nothing could be measured."""
        metric = self.run.bundle.task.metric
        return metric if metric in self.report else next(iter(self.report), None)

    @property
    def target(self) -> str:
        """What is predicted, in words."""
        target = self.run.bundle.schema.target
        return "" if target is None else target.name
