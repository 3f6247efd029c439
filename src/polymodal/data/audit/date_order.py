"""Dates that are in doubt: what of day, month and year comes first in 10/01/13, and time zones that are not known."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from polymodal.codecs import dates
from polymodal.codecs.date_conflicts import order_conflict
from polymodal.config.paths import join_path
from polymodal.config.run_config import ColumnConfig
from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.subject import AuditedTable

_READ_AS_WORDS = ("text", "category", "identifier")
_LOOKED_AT = 4_000  # cells
BOTH = "Some cells have the day first, others the month: write all of them as 2024-03-01."


def check(subject: AuditedTable) -> Iterator[Finding]:
    """Columns that are read with the day or the month first, though the year of two digits may be; and of zones."""
    for column in subject.columns:
        if column.kind in _READ_AS_WORDS:
            yield from _zones(subject, column.name)
        if column.modality != "datetime":
            continue
        said = subject.config.columns.get(column.name, ColumnConfig()).modality.settings
        settings = {**subject.config.modalities.get("datetime", {}), **said}
        cells = subject.cells(column.name)
        order = settings["order"] if "order" in settings else dates.order_of(cells)
        if (conflict := order_conflict(cells, order)) is not None:
            otherwise = f" {advice(column.name, [conflict.other])}" if conflict.mostly else ""
            advised = f"Write all of them as 2024-03-01.{otherwise}"
            yield subject.finding(
                "date_order", "warning", conflict.words, advised, columns=(column.name,), rows=conflict.rows
            )
        elif "order" not in settings and order in ("day_first", "month_first") and dates.may_have_year_first(cells):
            shown = next(cell for cell in cells if dates.possible_orders(cell))
            what = f"dates such as {shown!r} are read with the {order[:-6]} first, but the year may come first."
            yield subject.finding(
                "date_order", "warning", what, advice(column.name, ["year_first"]), columns=(column.name,)
            )


def _zones(subject: AuditedTable, name: str) -> Iterator[Finding]:
    """That most cells would be dates if their time zones were known."""
    cells = [cell for cell in subject.cells(name) if cell is not None]
    cells = cells[:: 1 + len(cells) // _LOOKED_AT]
    zones = [zone for cell in cells if (zone := dates.unknown_zone(cell)) is not None]
    if zones and 2 * len(zones) >= len(cells):
        what = f"{number(len(zones), 'cell')} would be dates if the time zone {zones[0]} were known."
        advised = "Write its offset instead, such as 2024-03-01T12:30+01:00, or the times in UTC without a zone."
        yield subject.finding("date_order", "warning", what, advised, columns=(name,))


def advice(name: str, orders: Sequence[dates.Order]) -> str:
    """What to set for a column whose dates may have these orders."""
    others = f", or {' or '.join(orders[1:])}" if orders[1:] else ""
    option = shlex.quote(f"{join_path(['columns', name, 'modality', 'order'])}={orders[0]}")
    in_python = {name: {"modality": {"order": orders[0]}}}
    return f"Say what comes first: --set {option}{others}; in Python columns={in_python}."


def orders_in_doubt(cells: Iterable[object]) -> list[dates.Order]:
    """The orders in which all of the dates can be read that can be several days, the likely one first."""
    doubtful = [cell for cell in cells if dates.is_ambiguous(cell)]
    found = [order for order in dates.ORDERS if all(order in dates.possible_orders(cell) for cell in doubtful)]
    return found[::-1] if dates.may_have_year_first(doubtful) else found if doubtful else []
