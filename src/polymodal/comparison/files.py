"""Leaves a comparison in a folder: `comparison.json` and `comparison.svg`."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from polymodal.comparison.result import Comparison
from polymodal.errors import MissingExtraError, UsageError
from polymodal.files.atomic import new_folder, write_file
from polymodal.report.drawing import ACCENT, INK, LINE, MUTED, WARM, save_picture, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURES = "comparison.json"
PICTURE = "comparison.svg"

_COLOURS = {"reference": ACCENT, "fusion": ACCENT, "own": ACCENT, "baseline": MUTED}


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Checks before the work that the results can be written there.

    Raises:
        UsageError: the folder holds other files, or an older comparison that is not to be replaced; or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; choose a folder for the comparison.")
    names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if others := sorted(names - {FIGURES, PICTURE}):
        raise UsageError(f"{folder} holds files that no comparison wrote, such as {others[0]}. Choose another folder.")
    if names and not overwrite:
        raise UsageError(f"{folder} holds an older comparison. Choose another folder, or add --overwrite.")


def write(comparison: Comparison, folder: Path) -> bool:
    """Writes the figures, and where there is what to draw with, the picture. Says whether there is a picture.

    Raises:
        UsageError: the folder cannot be written to.
    """
    text = json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    files = {FIGURES: text.encode("utf-8", "backslashreplace")}
    try:
        with tempfile.TemporaryDirectory(prefix="polymodal-") as temporary:
            picture = Path(temporary) / PICTURE
            with suppress(MissingExtraError):  # without matplotlib there are the figures; the result says so
                draw(comparison, picture)
                files[PICTURE] = picture.read_bytes()
        with new_folder(folder) as new:
            for name, content in files.items():
                write_file(new / name, content)
    except OSError as error:
        raise UsageError(f"Cannot write the comparison to {folder}: {error.strerror}. Choose another.") from error
    return PICTURE in files


def draw(comparison: Comparison, path: Path) -> None:
    """A point with its interval for each entry, and a line where the reference is.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: the file cannot be written.
    """
    lines = [line for line in comparison.lines if line.status == "done"]
    metric = comparison.metric

    def paint(axes: Axes) -> None:
        for place, line in enumerate(lines):
            interval = line.metrics[metric]
            colour = _COLOURS.get(line.entry.kind, WARM)
            axes.plot([interval.low, interval.high], [place, place], color=colour, solid_capstyle="butt")
            axes.plot([interval.value], [place], "o", color=colour, markersize=5)
            if line.entry.kind == "reference":
                axes.axvline(interval.value, color=LINE, linewidth=1, zorder=0)
        axes.set_yticks(range(len(lines)), [short(line.entry.name, 32) for line in lines], color=INK)
        axes.invert_yaxis()
        axes.set_xlabel(f"{metric}, {'larger' if comparison.greater_is_better else 'smaller'} is better")
        axes.grid(axis="x")

    title = f"{comparison.rows} rows, {comparison.folds} × {comparison.repeats} folds, 95 % intervals"
    save_picture(path, {title: paint}, height=1.2 + 0.3 * max(len(lines), 3))
