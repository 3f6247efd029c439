"""`polymodal generate`: a model that writes and a table in, a text for each row out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from polymodal.cli.arguments import BundleArgument, DecodingOption, TableArgument, check_output, decoding_of
from polymodal.cli.terminal import complain, say
from polymodal.errors import UsageError


def generate(
    bundle: BundleArgument,
    table: TableArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="A .csv, .parquet, .jsonl or .ndjson file to write. Without one, texts are shown as they are written.",
        ),
    ] = None,
    n_best: Annotated[
        int | None, typer.Option("--n-best", min=1, help="Texts for each row, the best first; needs an output.")
    ] = None,
    decoding: DecodingOption = None,
) -> None:
    """Write a text for every row of a table: captions, answers, translations."""
    from polymodal.bundles.bundle import load
    from polymodal.inference.generation import searching, stream
    from polymodal.inference.predictions import check_ending
    from polymodal.inference.predictor import Predictor

    asked = decoding_of(decoding, n_best)
    if output is None:
        if n_best is not None:
            raise UsageError("Several texts for each row need a file: add -o OUT.jsonl.")
        _show(stream(Predictor(load(bundle)), table, asked))
        return
    check_ending(output)
    check_output(output, table, what="texts")
    model = load(bundle)
    with searching(model, asked):
        predictions = Predictor(model)(table, on_message=say)
    predictions.write(output)
    for sentence in predictions.warnings:
        complain(f"Warning: {sentence}")
    say(f"{output}: {len(predictions)} rows")


def _show(pieces: Any) -> None:
    """Every row's text on a line, as it is written."""
    last = -1
    for row, piece in pieces:
        if row != last:
            typer.echo(f"{chr(10) if last >= 0 else ''}{row}: ", nl=False)
            last = row
        typer.echo(piece, nl=False)
    typer.echo("")
