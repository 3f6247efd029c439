"""Prints metrics with their intervals, side by side."""

from __future__ import annotations

from collections.abc import Mapping

from polymodal.cli.terminal import tabulate

Report = Mapping[str, Mapping[str, float]]
"""`{"accuracy": {"value": ..., "low": ..., "high": ...}, ...}`, as in `metrics.json`"""


def print_metrics(reports: Mapping[str, Report]) -> None:
    """One line a metric of the first report, one column a report; 95 % bootstrap intervals in brackets."""
    from polymodal.card import in_brackets

    first = next(iter(reports.values()))
    tabulate(
        ("metric", *reports),
        [(name, *(in_brackets(report.get(name)) for report in reports.values())) for name in first],
    )
