"""`polymodal predict`: a trained model and a table in, one prediction for each row out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from polymodal.cli.arguments import BundleArgument, TableArgument, check_output
from polymodal.cli.terminal import complain, say

_SHOWN = 5  # texts


def predict(
    bundle: BundleArgument,
    table: TableArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="A .csv, .parquet, .jsonl or .ndjson file to write.")
    ],
) -> None:
    """Predict every row of a table."""
    from polymodal.bundles.bundle import load
    from polymodal.inference.predictions import check_ending
    from polymodal.inference.predictor import predict as predict_rows

    check_ending(output)
    check_output(output, table, what="predictions")
    predictions = predict_rows(load(bundle), table, on_message=say)
    predictions.write(output)
    for sentence in predictions.warnings:
        complain(f"Warning: {sentence}")
    if output.suffix.lower() == ".csv" and (marked := predictions.marked):
        shown = ", ".join(map(repr, marked[:_SHOWN])) + (", ..." if len(marked) > _SHOWN else "")
        say(
            f"{output}: {shown}: a single quote stands before each, so that no spreadsheet takes it for a formula; "
            "take it away, or write .jsonl or .parquet."
        )
    counts = Counter(status.partition(":")[0] for status in predictions.status)
    say(f"{output}: {len(predictions)} rows ({', '.join(f'{count} {kind}' for kind, count in counts.items())})")
