"""What `polymodal inspect` prints: every column of a table, what it is and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np

from polymodal.data.audit.finding import ORDER, Finding
from polymodal.data.columns import as_text
from polymodal.schema import Column

_WIDEST_EXAMPLE = 24
_WIDEST_LINE = 120
_EXAMPLES = 3
_HEADER = ("column", "kind", "read as", "missing", "distinct", "examples", "why")


@dataclass(frozen=True)
class InspectedColumn:
    """One column as it was found.

    Attributes:
        missing: share of the rows.
        distinct: number of different values.
        examples: some cells in print: short, control characters escaped.
    """

    column: Column
    missing: float
    distinct: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """A table as it was found; prints as a plain-text table.

    Attributes:
        source: where the table came from.
        rows: how many it has.
        findings: what may be wrong with it, the gravest first.
    """

    source: str
    rows: int
    columns: tuple[InspectedColumn, ...]
    findings: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        lines = [_HEADER, *(_cells(column) for column in self.columns)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        widths[-1] = 0  # nothing stands to the right of the last
        title = f"{printable(self.source)}: {self.rows} rows, {len(self.columns)} columns"
        table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        return "\n".join([title, "", *table, "", *report(self.findings)])

    def to_dict(self) -> dict[str, object]:
        """The same as plain values that JSON can hold."""
        return {
            "source": self.source,
            "rows": self.rows,
            "columns": [
                {
                    **found.column.model_dump(include={"name", "kind", "modality", "reason"}),
                    "missing": found.missing,
                    "distinct": found.distinct,
                    "examples": list(found.examples),
                }
                for found in self.columns
            ],
            "findings": [finding.to_dict() for finding in self.findings],
        }


def report(findings: Sequence[Finding]) -> list[str]:
    """The findings in lines: how many of each kind, then each with what to do."""
    counts = Counter(finding.severity for finding in findings)
    words = [f"{counts[kind]} {kind}" + ("" if counts[kind] == 1 else "s") for kind in ORDER if counts[kind]]
    lines = [f"Findings: {', '.join(words) or 'none'}"]
    for finding in findings:
        lines += fill(
            printable(str(finding)), _WIDEST_LINE, initial_indent=f"  {finding.severity:<9}", subsequent_indent=" " * 11
        ).split("\n")
    return lines


def examples(values: list[object]) -> tuple[str, ...]:
    """The first few different cells in print."""
    return tuple(list(dict.fromkeys(map(example, values)))[:_EXAMPLES])


def example(cell: object) -> str:
    """One cell in print: bytes and arrays by their size, text short and on one line."""
    if isinstance(cell, bytes | bytearray):
        return f"<{len(cell)} bytes>"
    if isinstance(cell, np.ndarray):
        return f"<{'×'.join(map(str, cell.shape))} {cell.dtype}>"
    text = printable(as_text(cell)[: 2 * _WIDEST_EXAMPLE])
    return text if len(text) <= _WIDEST_EXAMPLE else f"{text[: _WIDEST_EXAMPLE - 1]}…"


def printable(text: str) -> str:
    r"""Text that is safe on a terminal: control characters, direction marks and lone surrogates become escapes.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cells(found: InspectedColumn) -> tuple[str, ...]:
    column = found.column
    return (
        printable(column.name),
        column.kind,
        column.modality or "-",
        f"{found.missing:.1%}",
        str(found.distinct),
        ", ".join(found.examples),
        printable(column.reason),
    )
