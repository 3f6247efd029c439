"""Prints metrics with their intervals, side by side, and numbers of rows; writes figures to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polymodal.cli.terminal import tabulate
from polymodal.errors import UsageError

if TYPE_CHECKING:
    from polymodal.metrics.results import Report


def print_metrics(reports: Mapping[str, Report]) -> None:
    """One line a metric of the first report, one column a report; 95 % bootstrap intervals in brackets."""
    from polymodal.bundles.card import in_brackets

    first = next(iter(reports.values()))
    tabulate(
        ("metric", *reports),
        [(name, *(in_brackets(report.get(name)) for report in reports.values())) for name in first],
    )


def count_rows(parts: Mapping[str, int]) -> str:
    """Where all rows went: `5 = 3 train + 2 test`; nothing of what there is none of."""
    shown = " + ".join(f"{count} {name}" for name, count in parts.items() if count)
    return f"{sum(parts.values())} = {shown}"


def write_figures(figures: Mapping[str, Any], path: Path) -> None:
    """As JSON.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"Cannot write the figures to {path}: {error.strerror}.") from error
