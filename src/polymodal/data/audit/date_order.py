"""Dates such as 10/01/13: what of day, month and year comes first, where the cells leave it in doubt."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from polymodal.codecs import dates
from polymodal.config.paths import join_path
from polymodal.config.run_config import ColumnConfig
from polymodal.data.audit.finding import Finding
from polymodal.data.audit.subject import AuditedTable


def check(subject: AuditedTable) -> Iterator[Finding]:
    """Columns that are read with the day or the month first, though the year of two digits may be."""
    for column in subject.columns:
        said = subject.config.columns.get(column.name, ColumnConfig()).modality.settings
        if column.modality != "datetime" or "order" in {**subject.config.modalities.get("datetime", {}), **said}:
            continue
        cells = subject.cells(column.name)
        order = dates.order_of(cells)
        if order in ("day_first", "month_first") and dates.may_have_year_first(cells):
            shown = next(cell for cell in cells if dates.possible_orders(cell))
            what = f"dates such as {shown!r} are read with the {order[:-6]} first, but the year may come first."
            yield subject.finding(
                "date_order", "warning", what, advice(column.name, ["year_first"]), columns=(column.name,)
            )


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
