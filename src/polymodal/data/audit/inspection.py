"""Looks at a table before training: every column, what it is and why, and what may be wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import fill

from polymodal.config.run_config import RunConfig
from polymodal.data.audit.audit import audit, read_columns
from polymodal.data.audit.finding import ORDER, Finding
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.audit.target_cells import unused_targets
from polymodal.data.columns.examples import example, printable
from polymodal.data.columns.infer import recognise_columns
from polymodal.data.columns.profile import Profiler, column_profiler
from polymodal.data.tables.table import read_table
from polymodal.metrics.results import InputTest
from polymodal.protocols import Sample
from polymodal.schema import Column

WIDEST_LINE = 120
_EXAMPLES = 3
_HEADER = ("column", "kind", "read as", "missing", "unreadable", "distinct", "examples", "why")
_UNREADABLE = _HEADER.index("unreadable")


@dataclass(frozen=True)
class InspectedColumn:
    """One column as it was found.

    Attributes:
        missing: share of the rows, of those that were read: without a cell, or with one that says that there is none.
        distinct: number of different values.
        examples: some cells in print: short, control characters escaped.
        unreadable: share of the rows whose cell cannot be read; None where none was tried.
    """

    column: Column
    missing: float
    distinct: int
    examples: tuple[str, ...]
    unreadable: float | None = None


@dataclass(frozen=True)
class Inspection:
    """A table as it was found; prints as a plain-text table.

    Attributes:
        source: where the table came from.
        rows: how many it has.
        findings: what may be wrong with it, the gravest first.
        input_tests: by input, whether it predicts the target; empty where none was tested.
    """

    source: str
    rows: int
    columns: tuple[InspectedColumn, ...]
    findings: tuple[Finding, ...] = ()
    input_tests: Mapping[str, InputTest] = field(default_factory=dict)

    def __str__(self) -> str:
        header, rows = self.table()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        widths[-1] = 0  # nothing stands to the right of the last
        table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in (header, *rows)]
        return "\n".join([self.title, "", *table, "", *report(self.findings)])

    @property
    def title(self) -> str:
        """Where the table came from, and its size."""
        return f"{printable(self.source)}: {self.rows} rows, {len(self.columns)} columns"

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Head and lines of what is said of the columns; of unreadable cells only where there are any."""
        lines = [_HEADER, *(_cells(column) for column in self.columns)]
        if not any(column.unreadable for column in self.columns):
            lines = [line[:_UNREADABLE] + line[_UNREADABLE + 1 :] for line in lines]
        return lines[0], lines[1:]

    def with_findings(self, findings: Sequence[Finding]) -> Inspection:
        """The same with further findings among the others."""
        together = sorted([*self.findings, *findings], key=lambda finding: ORDER.index(finding.severity))
        return replace(self, findings=tuple(together))

    def to_dict(self) -> dict[str, object]:
        """The same as plain values that JSON can hold."""
        return {
            "source": self.source,
            "rows": self.rows,
            "columns": [
                {
                    **found.column.model_dump(include={"name", "kind", "modality", "reason"}),
                    "missing": found.missing,
                    "unreadable": found.unreadable,
                    "distinct": found.distinct,
                    "examples": list(found.examples),
                }
                for found in self.columns
            ],
            "findings": [finding.to_dict() for finding in self.findings],
            "input_tests": {name: found.model_dump() for name, found in self.input_tests.items()},
        }


def inspect_table(
    source: object,
    *,
    config: RunConfig = RunConfig(),  # noqa: B008 - frozen
    media: bool = True,
    profile: Profiler | None = None,
) -> Inspection:
    """Every column of a table: what it is and why, the missing share, different values, examples; and what is wrong.

    Args:
        source: whatever `read_table` takes.
        config: what is known already, such as the target and the split.
        media: decode pictures, recordings and the like, to find those that are unreadable, odd or nearly the same.
        profile: of a caller that needs its looks at the columns again; None: taken here.

    >>> print(inspect_table({"size": [1.5, 2.5], "tag": ["a", "a"]}).columns[1].column.kind)
    constant
    """
    table = read_table(source, text=config.table)
    profile = profile or column_profiler(table, config.limits)
    columns = recognise_columns(table, config, profile)
    subject = read_columns(table, columns, config, media=media, profile=profile)
    found = tuple(_inspected(subject, column, profile(column.name), table.num_rows) for column in columns)
    return Inspection(table.source, table.num_rows, found, audit(table, subject))


def _inspected(subject: AuditedTable, column: Column, seen: Sample, num_rows: int) -> InspectedColumn:
    """One column, its cells counted as the findings count them."""
    missing, unreadable = (num_rows - seen.present) / num_rows, None
    if (read := subject.profiles.get(column.name)) is not None:
        missing, unreadable = read.missing / read.tried, len(read.rejects) / read.tried
    elif column.name in subject.config.targets:
        unused, rows = unused_targets(subject, column.name), subject.table.num_rows
        missing, unreadable = len(unused.missing) / rows, len(unused.unreadable) / rows
    return InspectedColumn(column, missing, seen.distinct, _examples(seen.values), unreadable)


def _examples(values: Sequence[object]) -> tuple[str, ...]:
    """The first different ones, in print."""
    found: dict[str, None] = {}
    for value in values:
        found.setdefault(example(value))
        if len(found) == _EXAMPLES:
            break
    return tuple(found)


def report(findings: Sequence[Finding], *, width: int = WIDEST_LINE) -> list[str]:
    """The findings in lines of at most that width: how many of each kind, then each with what to do."""
    counts = Counter(finding.severity for finding in findings)
    words = [f"{counts[kind]} {kind}" + ("" if counts[kind] == 1 else "s") for kind in ORDER if counts[kind]]
    lines = [f"Findings: {', '.join(words) or 'none'}"]
    for finding in findings:
        lines += fill(
            printable(str(finding)), width, initial_indent=f"  {finding.severity:<9}", subsequent_indent=" " * 11
        ).split("\n")
    return lines


def _cells(found: InspectedColumn) -> tuple[str, ...]:
    column = found.column
    return (
        printable(column.name),
        column.kind,
        column.modality or "-",
        f"{found.missing:.1%}",
        "-" if found.unreadable is None else f"{found.unreadable:.1%}",
        str(found.distinct),
        ", ".join(found.examples),
        printable(column.reason),
    )
