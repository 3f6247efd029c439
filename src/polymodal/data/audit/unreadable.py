"""Cells that cannot be read: counted by column, with the first ones and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from polymodal.codecs import dates
from polymodal.data.audit import date_order
from polymodal.data.audit.finding import Finding, number
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.cells.reading import Reject
from polymodal.data.columns.examples import example

_SHOWN_CELL = re.compile(r": (?:'[^']*'|\"[^\"]*\")$")
_REASONS = 3  # that a finding names, the most frequent ones; also: cells of one


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each column."""
    dated = {column.name for column in subject.columns if column.modality == "datetime"}
    for name, profiles in subject.profiles.items():
        if not (rejects := profiles.rejects):
            continue
        what = f"{number(len(rejects), 'cell')} of {profiles.tried:,} cannot be read: {_reasons(subject, rejects)}."
        rows = [reject.row for reject in rejects]
        advice = "Repair them; else they count as missing (see bad_cells)."
        if name in dated and (orders := date_order.orders_in_doubt(subject.cells(name)[row] for row in rows)):
            both = dates.of_both_orders(subject.cells(name))
            said = date_order.BOTH if both else date_order.advice(name, orders)
            advice = f"{said} {advice}"
        yield subject.finding("unreadable", "warning", what, advice, columns=(name,), rows=rows)


def _reasons(subject: AuditedTable, rejects: Sequence[Reject]) -> str:
    """The most frequent reasons, each with its count where there are several, and with a file or cell."""
    reasons = Counter(reject.reason for reject in rejects)
    counts = Counter(_kind(reject.reason) for reject in rejects)
    first = {_kind(reject.reason): reject for reject in reversed(rejects)}
    shown = []
    for kind, count in counts.most_common(_REASONS):
        reason = first[kind].reason
        cells = [like[len(kind) + 2 :] for like, _ in reasons.most_common() if _kind(like) == kind]
        if len(cells) > 1:
            reason = f"{kind}, such as {', '.join(cells[:_REASONS])}"
        times = f"{count:,} times " if 1 < count < len(rejects) else ""
        sample = _example(subject, first[kind])
        shown.append(f"{times}{reason}" + ("" if sample.rstrip("…") in reason else f" ({sample})"))
    if others := len(counts) - len(shown):
        shown.append(f"and {number(others, 'other reason')}")
    return "; ".join(shown)


def _kind(reason: str) -> str:
    """A reason less the cell that ends it."""
    return _SHOWN_CELL.sub("", reason)


def _example(subject: AuditedTable, reject: Reject) -> str:
    """The file that a cell names; else the cell in print."""
    return reject.file if reject.file != subject.table.source else example(subject.cells(reject.column)[reject.row])
