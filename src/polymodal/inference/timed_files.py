"""Times of words as one file a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polymodal.bundles.bundle import Bundle
from polymodal.data.tables.table import Table, read_table
from polymodal.errors import TableError, UsageError, did_you_mean
from polymodal.inference.subtitles import ENDINGS, WRITERS
from polymodal.inference.timing import TimedText

_SOUNDS = {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aiff", ".aif", ".webm", ".mp4"}


def check_format(kind: str) -> None:
    """Checks before the work that there is such a format.

    Raises:
        UsageError: there is none of that name.
    """
    if kind not in WRITERS:
        raise UsageError(f"No format is called {kind!r}.{did_you_mean(kind, WRITERS)} Known: {', '.join(WRITERS)}.")


def source_of(bundle: Bundle, path: Path) -> Table:
    """A table; of one recording, the table of one row that the model reads it from.

    Raises:
        TableError: no such file.
        UsageError: a recording, and the model reads none, or several.
    """
    if path.suffix.lower() not in _SOUNDS:
        return read_table(path, text=bundle.config.table)
    if not path.is_file():
        raise TableError(f"{path}: no such file.")
    columns = [column.name for column in bundle.schema.features()]
    sounds = [column.name for column in bundle.schema.features() if column.modality == "audio"]
    if len(sounds) != 1:
        raise UsageError(f"This model reads the recordings {', '.join(sounds) or 'none'}: give a table with them.")
    cells = {name: [str(path.resolve()) if name == sounds[0] else None] for name in columns}
    return read_table(cells, text=bundle.config.table)


def write(found: Sequence[TimedText], folder: Path, kind: str, *, refused: bool) -> list[Path]:
    """One file for each row, named by its number, counted from 0.

    Args:
        found: of every row.
        folder: is made where there is none.
        kind: of `WRITERS`.
        refused: also of rows without times; JSON says why there are none.

    Raises:
        UsageError: the folder cannot be made or written to.
    """
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digits = len(str(max(len(found) - 1, 0)))
        for row, text in enumerate(found):
            path = folder / f"{row:0{digits}}{ENDINGS[kind]}"
            if refused or text.refusal is None or kind == "json":
                path.write_text(WRITERS[kind](text), encoding="utf-8")
            paths.append(path)
    except OSError as error:
        raise UsageError(f"Cannot write to {folder}: {error.strerror or error}.") from error
    return paths
