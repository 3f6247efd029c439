"""What every section of a report is made from, and what it gives the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polymodal.abilities import Outcome
from polymodal.metrics.results import Results
from polymodal.report.drawing import Pen
from polymodal.report.previewer import Previewer

if TYPE_CHECKING:
    from polymodal.pipeline.run import Run


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        name: of its template, and of the link that leads to it.
        title: of its heading.
        context: what the template may use; text in it is escaped, only `Markup` is not.
    """

    name: str
    title: str
    context: Mapping[str, object]


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
    def main_metric(self) -> str | None:
        """The one to look at first; None where nothing could be measured."""
        metric, measured = self.run.bundle.task.metric, self.results.measured
        return metric if metric in measured else next(iter(measured), None)

    def where(self, row: int) -> str:
        """A row as its source counts: `row 3 (line 5)`."""
        table = self.run.table
        return table.where(row).removeprefix(f"{table.source}, ")
