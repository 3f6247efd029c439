"""What a user should hear of cells that could not be read: one sentence a column, with the first of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from polymodal.data.cells.reading import Reject

_SHOWN_CELLS = 3
_SHOWN_COLUMNS = 10


def rejected(
    rejects: Sequence[Reject],
    *,
    source: str,
    became: str,
    unreadable: Mapping[str, str] | None = None,
    targets: Collection[str] = (),
) -> tuple[str, ...]:
    """Counts, rows and reasons; of many columns the first ones.

    Args:
        rejects: of one table, of any columns.
        source: the table, as rejects call it that are no files.
        became: of the cells, such as `counted as missing`.
        unreadable: columns of which no cell could be read, and what to do about it.
        targets: columns that are predicted; their cells cannot be missing, they are not learned from.

    >>> cells = [Reject("t.csv", row, "size", f"not a number: {row!r}", None) for row in (3, 7)]
    >>> rejected(cells, source="t.csv", became="counted as missing")
    ('size: 2 cells could not be read, counted as missing: row 3: not a number: 3; row 7: not a number: 7.',)
    """
    by_column: defaultdict[str, list[Reject]] = defaultdict(list)
    for reject in rejects:
        by_column[reject.column].append(reject)
    sentences = []
    for column, found in list(by_column.items())[:_SHOWN_COLUMNS]:
        count = f"{len(found)} cell{'s' if len(found) > 1 else ''}"
        what, advice = f"{count} could not be read, {became}", ""
        if column in targets:
            what = f"{count} of the target could not be read, and not learned from"
        if unreadable is not None and column in unreadable:
            what, advice = f"none of its {count} could be read, so the predictions do without it", unreadable[column]
        more = "; ..." if len(found) > _SHOWN_CELLS else ""
        first = "; ".join(_described(reject, source) for reject in found[:_SHOWN_CELLS])
        sentences.append(f"{column}: {what}: {first}{more or '.'}{advice}")
    if others := list(by_column.values())[_SHOWN_COLUMNS:]:
        sentences.append(f"{sum(map(len, others))} cells of {len(others)} other columns could not be read, {became}.")
    return tuple(sentences)


def _described(reject: Reject, source: str) -> str:
    file = "" if reject.file == source else f" ({reject.file})"
    return f"row {reject.row}{file}: {reject.reason}"
