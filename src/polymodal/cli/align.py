"""`polymodal align`: a model of speech to text, recordings and their texts in, times of words out."""

from __future__ import annotations

from typing import Annotated

import typer

from polymodal.cli.arguments import BundleArgument, TableArgument
from polymodal.cli.terminal import complain, say
from polymodal.cli.transcribe import FolderOption, FormatOption


def align(
    bundle: BundleArgument,
    table: TableArgument,
    *,
    output: FolderOption,
    text: Annotated[str, typer.Option("--text", metavar="COL", help="The column of texts that are spoken.")],
    kind: FormatOption = "vtt",
    largest_loss: Annotated[
        float | None,
        typer.Option(
            "--max-loss",
            metavar="NATS",
            help="Texts that fit worse are refused: by how much less probable than the best text, for each character.",
        ),
    ] = None,
) -> None:
    """Find when the words of given texts are spoken; texts that do not fit the sound are refused, and named."""
    from polymodal.bundles.bundle import load
    from polymodal.data.tables.table import read_table
    from polymodal.inference.timed_files import check_format, write
    from polymodal.inference.timing import LARGEST_LOSS, Timing

    check_format(kind)
    model = load(bundle)
    source = read_table(table, text=model.config.table)
    found = Timing(model, largest_loss=LARGEST_LOSS if largest_loss is None else largest_loss)(source, text=text)
    refused = [(row, one.refusal) for row, one in enumerate(found) if one.refusal]
    write(found, output, kind, refused=False)
    for row, reason in refused:
        complain(f"Warning: {source.where(row)}: {reason}.")
    say(f"{output}: {len(found) - len(refused)} files, {len(refused)} rows refused")
