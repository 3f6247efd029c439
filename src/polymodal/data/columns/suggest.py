"""Asks the modalities which settings suit their columns, by a sample of the cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from polymodal import registry
from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.media import lists_media, open_cell
from polymodal.data.columns.profile import ColumnProfile, ColumnProfiles
from polymodal.data.tables.table import Table
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality
from polymodal.schema import Column

_MOST = 64


def suggest_settings(
    table: Table, columns: Sequence[Column], limits: LimitsConfig, profiles: Mapping[str, ColumnProfile] | None = None
) -> dict[str, dict[str, Any]]:
    """By column, what its modality suggests from up to 64 of its cells; cells that cannot be read do not count.

    Args:
        table: the rows.
        columns: those without a modality are passed over.
        limits: what a cell may cost.
        profiles: by column, for a caller that has them already; None: taken here.
    """
    profiles = ColumnProfiles(table, limits) if profiles is None else profiles
    return {
        column.name: registry.load("modalities", column.modality).suggest(
            _cells(table, column, profiles[column.name], limits), limits
        )
        for column in columns
        if column.modality is not None
    }


def _cells(table: Table, column: Column, seen: ColumnProfile, limits: LimitsConfig) -> list[object]:
    modality: type[Modality] = registry.load("modalities", column.modality or "")
    values = seen.sample.values
    values = values[:: max(1, math.ceil(len(values) / _MOST))]
    if not modality.media:
        return list(values)
    cells: list[object] = []
    for value in values:
        try:
            cells.append(open_cell(value, table.folder, limits, several=lists_media(modality)).content)
        except UnreadableCellError:  # it becomes a reject, with its reason, when all cells are read
            continue
    return cells
