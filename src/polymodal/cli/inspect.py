"""`polymodal inspect`: what every column of a table is taken for, and why."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from polymodal.cli.arguments import TableArgument
from polymodal.cli.terminal import say


def inspect(
    table: TableArgument,
    target: Annotated[str | None, typer.Option(metavar="COL", help="The column to predict.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
) -> None:
    """Show what every column of a table is, and why."""
    from polymodal.config import RunConfig
    from polymodal.data.infer import inspect as inspect_table

    found = inspect_table(table, config=RunConfig(target=target))
    say(json.dumps(found.to_dict(), indent=2) if as_json else str(found))
