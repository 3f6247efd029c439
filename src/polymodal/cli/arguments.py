"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TableArgument = Annotated[Path, typer.Argument(metavar="TABLE", help="A .csv, .tsv, .parquet, .jsonl or .ndjson file.")]
BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A trained model: the folder RUN/bundle.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="One setting, such as train.epochs=5. May be repeated."),
]
