"""`polymodal inspect`: what every column of a table is taken for, and why; and what is wrong with the table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from polymodal.cli import arguments
from polymodal.cli.terminal import line_width, say, tabulate

if TYPE_CHECKING:
    from polymodal.data.audit.inspection import Inspection


def inspect(  # noqa: PLR0913 - the options of a command
    table: arguments.TableArgument,
    *,
    target: Annotated[str | None, typer.Option(metavar="COL", help="The column to predict.")] = None,
    split: arguments.SplitOption = None,
    group: arguments.GroupOption = None,
    drop: arguments.DropOption = None,
    media: Annotated[
        bool, typer.Option("--media/--no-media", help="Decode pictures, recordings and the like; takes the most time.")
    ] = True,
    assignments: arguments.SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
) -> None:
    """Show what every column of a table is, and why; and what is wrong with the table."""
    said = arguments.Overrides(None if target is None else [target], split, group, drop, assignments=assignments)
    config = arguments.run_config(None, said)
    from polymodal.pipeline.inspection import inspect as inspect_table

    found = inspect_table(table, config=config, media=media)
    if as_json:
        say(json.dumps(found.to_dict(), indent=2))
    else:
        _print(found)


def _print(found: Inspection) -> None:
    """As `str`, but fitted to the terminal."""
    from polymodal.data.audit.inspection import WIDEST_LINE, report

    say(found.title)
    say()
    tabulate(*found.table())
    say()
    for line in report(found.findings, width=line_width(WIDEST_LINE)):
        say(line)
