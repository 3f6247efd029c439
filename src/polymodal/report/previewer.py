"""Shows cells of chosen rows, and stops embedding media before the page grows too large to open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from polymodal.codecs.previews import escaped
from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.media import file_of, lists_media, open_cell
from polymodal.data.cells.prepare import modality_of
from polymodal.data.tables.table import Table
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality
from polymodal.report.markup import pairs
from polymodal.schema import Column

_BUDGET = 1_800_000  # characters of media in one page
_MOST_COLUMNS = 12  # of a row


@dataclass
class Previewer:
    """Shows rows of one table.

    Attributes:
        columns: those that enter the model.
        left: characters of media that may still be embedded.
    """

    table: Table
    columns: Sequence[Column]
    limits: LimitsConfig
    left: int = _BUDGET
    modalities: dict[str, Modality] = field(init=False)

    def __post_init__(self) -> None:
        self.modalities = {column.name: modality_of(column) for column in self.columns[:_MOST_COLUMNS]}

    def rows(self, numbers: Sequence[int]) -> list[str]:
        """HTML of each row: its columns by name, and how many more there are."""
        taken = self.table.take(np.array(numbers, dtype=np.int64))
        cells = {name: taken.values(name) for name in self.modalities}
        more = len(self.columns) - len(self.modalities)
        note = f"<small>and {more} more columns</small>" if more else ""
        return [
            pairs({name: self._cell(name, values[place]) for name, values in cells.items()}) + note
            for place in range(len(numbers))
        ]

    def _cell(self, name: str, cell: object) -> str:
        if cell is None:
            return '<span class="missing">missing</span>'
        modality, folder = self.modalities[name], self.table.folder
        try:
            if not modality.media:
                return modality.preview(cell)
            content = open_cell(cell, self.table.folder, self.limits, several=lists_media(modality)).content
            shown = modality.preview(content) if self.left > 0 else None
        except UnreadableCellError as error:
            return f'<span class="missing">unreadable: {escaped(str(error))}</span>'
        if shown is None or len(shown) > self.left:
            self.left = 0
            where = file_of(cell, folder)
            return f'<span class="missing">{escaped(where or "not shown")} (left out to keep the page small)</span>'
        self.left -= len(shown)
        return shown
