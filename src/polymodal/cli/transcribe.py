"""`polymodal transcribe`: a model of speech to text and recordings in, texts with times out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polymodal.cli.arguments import BundleArgument, DecodingOption, decoding_of
from polymodal.cli.terminal import say

FormatOption = Annotated[
    str, typer.Option("--format", metavar="FORMAT", help="vtt or srt (subtitles), textgrid (Praat) or json.")
]
FolderOption = Annotated[
    Path, typer.Option("-o", "--output", metavar="FOLDER", help="A folder for one file a row; it is made.")
]
SourceArgument = Annotated[
    Path, typer.Argument(metavar="TABLE", help="A table whose recordings the model can read, or one recording.")
]


def transcribe(
    bundle: BundleArgument,
    table: SourceArgument,
    output: FolderOption,
    kind: FormatOption = "vtt",
    decoding: DecodingOption = None,
) -> None:
    """Write down what is said in recordings, and when."""
    from polymodal.bundles.bundle import load
    from polymodal.inference.generation import searching
    from polymodal.inference.timed_files import check_format, source_of, write
    from polymodal.inference.timing import Timing

    check_format(kind)
    model = load(bundle)
    timing = Timing(model)
    source = source_of(model, table)
    with searching(model, decoding_of(decoding)):
        found = timing.transcribed(source)
    written = write([text for _, text in found], output, kind, refused=True)
    for (said, _), path in zip(found, written, strict=True):
        say(f"{path.name}: {said}")
    say(f"{output}: {len(written)} files")
