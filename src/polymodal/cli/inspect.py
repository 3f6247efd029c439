"""`polymodal inspect`: what every column of a table is taken for, and why; and what is wrong with the table."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from polymodal.cli.arguments import DropOption, GroupOption, SetOption, SplitOption, TableArgument
from polymodal.cli.settings import Overrides, run_config
from polymodal.cli.terminal import say


def inspect(  # noqa: PLR0913 - the options of a command
    table: TableArgument,
    *,
    target: Annotated[str | None, typer.Option(metavar="COL", help="The column to predict.")] = None,
    split: SplitOption = None,
    group: GroupOption = None,
    drop: DropOption = None,
    media: Annotated[
        bool, typer.Option("--media/--no-media", help="Decode pictures, recordings and the like; takes the most time.")
    ] = True,
    assignments: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
) -> None:
    """Show what every column of a table is, and why; and what is wrong with the table."""
    config = run_config(None, Overrides(None if target is None else [target], split, group, drop, None, assignments))
    from polymodal.data.audit.inspection import inspect as inspect_table

    found = inspect_table(table, config=config, media=media)
    say(json.dumps(found.to_dict(), indent=2) if as_json else str(found))
