"""What a report is about, in one hand for its sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polymodal.evaluation.report.drawing import Pen
from polymodal.evaluation.report.outcomes import Outcome
from polymodal.evaluation.report.previewer import Previewer

if TYPE_CHECKING:
    from polymodal.run import Run


@dataclass(frozen=True)
class Subject:
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
    def metrics(self) -> dict[str, Any]:
        return self.run.bundle.metrics

    @property
    def side(self) -> str:
        """Where the figures were measured."""
        return "test" if self.metrics["test"] else "validation"

    @property
    def report(self) -> dict[str, dict[str, float]]:
        """The figures of the model: metric -> value, low, high."""
        found: dict[str, dict[str, float]] = self.metrics[self.side]
        return found

    @property
    def main_metric(self) -> str | None:
        """The one to look at first; None where nothing could be measured."""
        head: Any = self.run.bundle.model.head
        return head.metric if head.metric in self.report else next(iter(self.report), None)

    @property
    def target(self) -> str:
        """What is predicted, in words."""
        target = self.run.bundle.schema.target
        return "" if target is None else target.name
