"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polymodal.errors import UsageError

TableArgument = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE", help="A .csv, .tsv, .jsonl, .parquet or .arrow file, or a folder of Parquet files."
    ),
]
BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A trained model: the folder RUN/bundle.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="One setting, such as train.epochs=5. May be repeated."),
]


def check_output(path: Path, table: Path, *, what: str) -> None:
    """Checks before the work that a result can be written there.

    Raises:
        UsageError: there is no such folder, or the table itself stands there.
    """
    if not path.parent.is_dir():
        raise UsageError(f"Cannot write {what} to {path}: there is no folder {path.parent}.")
    if path.exists() and table.exists() and path.samefile(table):
        raise UsageError(f"{path} is the table itself; choose another file for {what}.")
