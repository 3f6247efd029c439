"""`polymodal predict`: a trained model and a table in, one prediction for each row out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from polymodal.cli.arguments import BundleArgument, TableArgument
from polymodal.cli.terminal import say
from polymodal.errors import UsageError


def predict(
    bundle: BundleArgument,
    table: TableArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="A .csv, .parquet, .jsonl or .ndjson file to write.")
    ],
) -> None:
    """Predict every row of a table."""
    from polymodal.bundle import load
    from polymodal.predict import check_ending
    from polymodal.predict import predict as predict_rows

    check_ending(output)
    if not output.parent.is_dir():
        raise UsageError(f"Cannot write predictions to {output}: there is no folder {output.parent}.")
    if output.exists() and table.exists() and output.samefile(table):
        raise UsageError(f"{output} is the table itself; choose another file for the predictions.")
    predictions = predict_rows(load(bundle), table, tell=say)
    predictions.write(output)
    counts = Counter(status.partition(":")[0] for status in predictions.status)
    say(f"{output}: {len(predictions)} rows ({', '.join(f'{count} {kind}' for kind, count in counts.items())})")
