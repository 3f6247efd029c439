"""Finds dates that have another order than the one in which they are read, beside which others may be misread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from polymodal.codecs import dates
from polymodal.codecs.dates import Order


@dataclass(frozen=True)
class OrderConflict:
    """Dates of another order among those that are read in one.

    Attributes:
        read: the order in which the dates are read.
        other: the order that the others have.
        rows: of the cells that can only have the other order.
        example: one of these cells.
        doubtful: a cell that is read, and that would be another day in the other order.
        mostly: more cells can only have the other order than can only have the one that is read.
    """

    read: Order
    other: Order
    rows: tuple[int, ...]
    example: str
    doubtful: str
    mostly: bool

    @property
    def words(self) -> str:
        """What is wrong, as one sentence without the name of the column."""
        one = len(self.rows) == 1
        return (
            f"{len(self.rows):,} {'date' if one else 'dates'} can only have the {_first(self.other)} first, such as "
            f"{self.example!r}, but the column is read with the {_first(self.read)} first: others, such as "
            f"{self.doubtful!r}, may be misread."
        )


def order_conflict(cells: Iterable[object], order: Order | None) -> OrderConflict | None:
    """Whether dates such as 05/13/2019 stand in a column that is read with the day first, or the other way round.

    None where there are none, or no other date could be misread for that: without an order only dates with dots are
    read where day and month may each be the other.

    Args:
        cells: of one column.
        order: in which they are read.

    >>> order_conflict(["03/04/2019", "05/13/2019"], "day_first").doubtful
    '03/04/2019'
    """
    read = order or "day_first"
    own, others, doubtful = 0, list[tuple[int, str, Order]](), list[str]()
    for row, cell in enumerate(cells):
        found = dates.possible_orders(cell)
        if not found or not isinstance(cell, str):
            continue
        if read not in found:
            others.append((row, cell, found[0]))
        elif len(found) == 1:
            own += 1
        elif dates.is_of_several_days(cell) and (order is not None or not dates.is_ambiguous(cell)):
            doubtful.append(cell)
    if not others or not doubtful:
        return None
    rows = tuple(row for row, _, _ in others)
    _, example, other = others[0]
    return OrderConflict(read, other, rows, example, doubtful[0], len(others) > own)


def _first(order: Order) -> str:
    return order.partition("_")[0]
