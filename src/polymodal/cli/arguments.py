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
TargetsOption = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="COL", help="The column to predict. Repeated: several columns of numbers."),
]
SplitOption = Annotated[
    str | None, typer.Option("--split", metavar="COL", help="The column that says train, validation or test.")
]
FoldsSplitOption = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="COL",
        help="The column that says train, validation or test; folds leave test rows alone.",
    ),
]
GroupOption = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="COL",
        help="The column whose equal cells stay together, on one side or in one fold.",
    ),
]
DropOption = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="COL", help="A column not to learn from, beside those of a file. May be repeated."),
]
ConfigOption = Annotated[
    Path | None, typer.Option("-c", "--config", metavar="FILE", help="A run.yaml; options and --set overrule it.")
]
RepeatsOption = Annotated[int, typer.Option("--repeats", help="Repeat the folds with other seeds.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Decides everything that is random.")]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", metavar="DIR", help="A folder that keeps decoded media for later runs.")
]
BudgetOption = Annotated[
    str | None, typer.Option("--budget", metavar="TIME", help="Stop after so long, such as 15m, with what there is.")
]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures to this file.")]


def check_output(path: Path, table: Path, *, what: str) -> None:
    """Checks before the work that a result can be written there.

    Raises:
        UsageError: there is no such folder, or the table itself stands there.
    """
    if not path.parent.is_dir():
        raise UsageError(f"Cannot write {what} to {path}: there is no folder {path.parent}.")
    if path.exists() and table.exists() and path.samefile(table):
        raise UsageError(f"{path} is the table itself; choose another file for {what}.")
