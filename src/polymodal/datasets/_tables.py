"""What recipes share when they write a table: the split, the pictures and the files beside it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from polymodal.datasets._cache import Progress
from polymodal.errors import DataError, needs_extra, warn

if TYPE_CHECKING:
    from PIL.Image import Image

_Item = TypeVar("_Item")
_BLOCK = 2**15  # samples


def sides(labels: Sequence[str], groups: Sequence[str], *, folds: int, seed: int) -> list[str]:
    """`test` or `train` for each row: the first of so many stratified folds, with rows of one group on one side."""
    from sklearn.model_selection import StratifiedGroupKFold

    divider = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    _, test = next(divider.split(np.zeros(len(labels)), np.array(labels), np.array(groups)))
    held_out = set(test.tolist())
    return ["test" if row in held_out else "train" for row in range(len(labels))]


def tracked(items: Collection[_Item], progress: Progress | None) -> Iterator[_Item]:
    """The items one by one; after each, `progress` is called with how many are done and how many there are."""
    for done, item in enumerate(items, start=1):
        yield item
        if progress is not None:
            progress(done, len(items))


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Writes a CSV file; returns its path."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_licence(folder: Path, text: str, archives: Sequence[Path], notices: Iterable[Path] = ()) -> None:
    """Writes LICENCE.txt: what the recipe says, the packages by name and sha256, and their own notices."""
    parts = [text.strip(), "Built from:"]
    for archive in archives:
        with archive.open("rb") as file:
            parts[-1] += f"\n  {archive.name}  sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}"
    for notice in sorted(notices):
        parts.append(f"{'-' * 78}\n{notice.read_text(encoding='utf-8', errors='replace').strip()}")
    (folder / "LICENCE.txt").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def check_count(name: str, found: int, expected: int) -> None:
    """Says so when the packages of this system give another table than the one that published numbers are of.

    Raises:
        DataError: there are no rows at all.
    """
    if not found:
        raise DataError(f"{name}: the packages hold nothing that the recipe knows; another version may.")
    if found != expected:
        warn(
            f"{name} has {found} rows here, not {expected}: this system carries another version of its packages. "
            "The table can be used, but its figures do not compare with others'."
        )


def render(drawing: Path, width: int) -> Image:
    """An SVG file as a picture of this width.

    Raises:
        MissingExtraError: `resvg-py` is not installed.
        DataError: it is no drawing.
    """
    with needs_extra("resvg-py", "datasets", "Rendering drawings (SVG)"):
        import resvg_py
    from PIL import Image as Pictures

    try:  # without a density, lengths in points would be 0
        data = bytes(resvg_py.svg_to_bytes(svg_path=str(drawing), width=width, dpi=96))
    except ValueError as error:
        raise DataError(f"{drawing}: it cannot be rendered: {error}.") from error
    return Pictures.open(io.BytesIO(data))


def on_white(picture: Image, size: int) -> Image:
    """A picture as RGB [size, size]: whole, made smaller if it must be, never larger, in the middle of white."""
    from PIL import Image as Pictures

    layer = picture.convert("RGBA")
    layer.thumbnail((size, size), Pictures.Resampling.BICUBIC)
    ground = Pictures.new("RGBA", (size, size), "white")
    ground.alpha_composite(layer, ((size - layer.width) // 2, (size - layer.height) // 2))
    return ground.convert("RGB")


def write_ogg(recording: Path, path: Path, *, sample_rate: int) -> float:
    """Writes a recording as mono Ogg Vorbis; returns its seconds.

    Raises:
        DataError: it cannot be read.
    """
    import soundfile
    import soxr

    try:
        samples, rate = soundfile.read(recording, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise DataError(f"{recording}: no recording can be read from it: {error}") from error
    mono = soxr.resample(samples.mean(axis=1), rate, sample_rate)
    with soundfile.SoundFile(path, "w", sample_rate, 1, format="OGG", subtype="VORBIS") as file:
        for start in range(0, len(mono), _BLOCK):  # libsndfile overflows its stack when given minutes at once
            file.write(mono[start : start + _BLOCK])
    return float(len(mono) / sample_rate)
