"""What every section of a report is made from, with previews of its rows, and what it gives the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.media import file_of, lists_media, open_cell
from polymodal.data.cells.prepare import modality_of
from polymodal.data.tables.table import Table
from polymodal.errors import UnreadableCellError
from polymodal.metrics.results import Results
from polymodal.protocols import Modality
from polymodal.report.drawing import Pen
from polymodal.schema import Column
from polymodal.types import Outcome

if TYPE_CHECKING:
    from polymodal.pipeline.run import Run

_BUDGET = 1_800_000  # characters of media in one page
_MOST_COLUMNS = 12  # of a row


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        name: of its template, and of the link that leads to it.
        title: of its heading.
        context: what the template may use; text in it is escaped, only `Markup` is not.
        link: shorter than the title, for the links at the top; empty: the title.
    """

    name: str
    title: str
    context: Mapping[str, object]
    link: str = ""


@dataclass
class Previewer:
    """Shows rows of one table.

    Attributes:
        columns: those that enter the model.
        left: characters of media that may still be embedded.
        left_out: number of columns that are not shown.
    """

    table: Table
    columns: Sequence[Column]
    limits: LimitsConfig
    left: int = _BUDGET
    modalities: dict[str, Modality] = field(init=False)
    left_out: int = field(init=False)

    def __post_init__(self) -> None:
        self.modalities = {column.name: modality_of(column) for column in self.columns[:_MOST_COLUMNS]}
        self.left_out = len(self.columns) - len(self.modalities)

    def rows(self, numbers: Sequence[int]) -> list[dict[str, Markup | str]]:
        """The cells of each row, by column: HTML, or as text why there is none."""
        taken = self.table.take(np.array(numbers, dtype=np.int64))
        cells = {name: taken.values(name) for name in self.modalities}
        return [
            {name: self._cell(name, values[place]) for name, values in cells.items()} for place in range(len(numbers))
        ]

    def _cell(self, name: str, cell: object) -> Markup | str:
        if cell is None:
            return "missing"
        modality, folder = self.modalities[name], self.table.folder
        try:
            if not modality.media:
                return _html(modality.preview(cell))
            content = open_cell(cell, folder, self.limits, several=lists_media(modality)).content
            shown = modality.preview(content) if self.left > 0 else None
        except UnreadableCellError as error:
            return f"unreadable: {error}"
        if shown is None or len(shown) > self.left:
            self.left = 0
            return f"{file_of(cell, folder) or 'not shown'} (left out to keep the page small)"
        self.left -= len(shown)
        return _html(shown)


def _html(preview: str) -> Markup:
    """What a modality gives: HTML that has escaped what the cell holds, as `protocols.Modality.preview` asks."""
    return Markup(preview)  # noqa: S704


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
