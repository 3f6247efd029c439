"""What commands write: results on standard output, warnings on standard error, and nothing that steers a terminal."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from polymodal.errors import UsageError

if TYPE_CHECKING:
    from polymodal.metrics.results import Report
    from polymodal.training.callbacks import Callback


def clean(text: str) -> str:
    """The text with every control character but the line break escaped: names and cells come from anywhere."""
    from polymodal.data.columns.examples import printable

    return "\n".join(map(printable, text.split("\n")))


def say(text: str = "") -> None:
    """Writes a line to standard output."""
    typer.echo(clean(text))


def complain(text: str) -> None:
    """Writes a line to standard error."""
    typer.echo(clean(text), err=True)


def tabulate(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Writes a table: on a terminal fitted to its width, elsewhere one plain line a row."""
    lines = [[clean(cell).replace("\n", " ") for cell in row] for row in rows]
    if sys.stdout.isatty():
        _on_terminal(header, lines)
        return
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    for line in (header, *lines):
        typer.echo("  ".join(map(str.ljust, line, widths)).rstrip())


def _on_terminal(header: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in header:
        table.add_column(title, overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))  # a str would be read as markup
    Console().print(table)


def line_width(most: int) -> int:
    """Characters of a line: as many as the terminal has, and at most so many; elsewhere so many."""
    return min(most, max(20, shutil.get_terminal_size().columns)) if sys.stdout.isatty() else most


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


def make_callbacks(phase: str, epochs: int, metric: str) -> Sequence[Callback]:
    """Shows each training as it goes, on a terminal."""
    from polymodal.training.progress import RunProgress

    return RunProgress()(phase, epochs, metric)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Gives a function of (done, to do) that shows on a terminal how much is done; elsewhere None."""
    if not sys.stderr.isatty():
        yield None
        return

    def show(done: int, todo: int) -> None:
        typer.echo(f"\r{what} {done}/{todo}", err=True, nl=False)

    yield show
    typer.echo("\r\x1b[2K", err=True, nl=False)  # wipes the line
