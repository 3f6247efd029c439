"""Asks the modalities which settings suit their columns, by a sample of the cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from polymodal import registry
from polymodal.config import LimitsConfig
from polymodal.data.media import lists_media, open_cell
from polymodal.data.survey import survey
from polymodal.data.table import Table
from polymodal.errors import UnreadableCellError
from polymodal.schema import Column
from polymodal.types import Modality

_CELLS = 64


def suggest_settings(table: Table, columns: Sequence[Column], limits: LimitsConfig) -> dict[str, dict[str, Any]]:
    """By column, what its modality suggests from up to 64 of its cells; cells that cannot be read do not count."""
    return {
        column.name: registry.load("modalities", column.modality).suggest(_sample(table, column, limits), limits)
        for column in columns
        if column.modality is not None
    }


def _sample(table: Table, column: Column, limits: LimitsConfig) -> list[object]:
    modality: type[Modality] = registry.load("modalities", column.modality or "")
    values = survey(table, column.name, limits).sample.values
    values = values[:: max(1, math.ceil(len(values) / _CELLS))]
    if not modality.media:
        return list(values)
    cells: list[object] = []
    for value in values:
        try:
            cells.append(open_cell(value, table.folder, limits, several=lists_media(modality)).content)
        except UnreadableCellError:  # it becomes a reject, with its reason, when all cells are read
            continue
    return cells
