"""Shows cells of chosen rows, and stops embedding media before the page grows too large to open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.media import file_of, lists_media, open_cell
from polymodal.data.cells.prepare import modality_of
from polymodal.data.tables.table import Table
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality
from polymodal.schema import Column

_BUDGET = 1_800_000  # characters of media in one page
_MOST_COLUMNS = 12  # of a row


@dataclass(frozen=True)
class Preview:
    """What is shown of a row.

    Attributes:
        cells: by column; HTML, or as text why there is none.
        left_out: number of columns that are not shown.
    """

    cells: Mapping[str, Markup | str]
    left_out: int


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

    def rows(self, numbers: Sequence[int]) -> list[Preview]:
        """What is shown of each row."""
        taken = self.table.take(np.array(numbers, dtype=np.int64))
        cells = {name: taken.values(name) for name in self.modalities}
        left_out = len(self.columns) - len(self.modalities)
        return [
            Preview({name: self._cell(name, values[place]) for name, values in cells.items()}, left_out)
            for place in range(len(numbers))
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
