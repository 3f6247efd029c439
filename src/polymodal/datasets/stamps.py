"""Tux Paint's rubber stamps: a picture, its name in two languages, the name spoken, and what the thing sounds like."""

from __future__ import annotations

import re
from pathlib import Path

from polymodal.datasets._cache import Progress
from polymodal.datasets._packages import Package, archives, unpack
from polymodal.datasets._tables import (
    check_count,
    on_white,
    render,
    sides,
    tracked,
    write_licence,
    write_ogg,
    write_table,
)

PACKAGE = Package("apt-get", "tuxpaint-stamps-default")
ROOT = "usr/share/tuxpaint/stamps"
SOUNDS = {"fr": "_desc_fr.ogg", "en": "_desc.ogg", "sfx": ".ogg"}
SMALL = ("space", "hobbies", "sports", "military", "medical", "naturalforces")  # too few each: together `other`
CANVAS, SIZE, SAMPLE_RATE = 160, 128, 16_000
COLUMNS = ("id", "image", "name_en", "name_fr", "spoken_fr", "spoken_en", "sound", "group", "label", "split")

LICENCE = """\
stamps: pictures, names and recordings of Tux Paint's stamp collection, by Bill Kendrick and many others; GPL version 2
or later. Changed: pictures are drawn on white, 128 x 128; recordings are mono, 16 kHz. The split is Polymodal's.
"""


class Stamps:
    """The table has the columns id, image, name_en, name_fr, spoken_fr, spoken_en, sound, group, label and split.

    `group` is the name without article, spaces and digits: pictures of one thing stay on one side of the split. It
    begins with the label's folder and is no feature, and neither is `id`.
    """

    rows = 950
    version = 1
    title = "Pictures with English and French names, most spoken in French, some with a sound"
    source = "Debian package tuxpaint-stamps-default (161 MB), through apt-get"
    licence = "GPL-2.0-or-later, Tux Paint; see LICENCE.txt"
    synthetic = "real: drawings, photographs and voices of volunteers"

    def build(self, folder: Path, *, seed: int = 0, progress: Progress | None = None) -> Path:
        """Writes the table as `Recipe.build` says; a quarter of the rows is test, stratified, with groups whole."""
        with archives([PACKAGE], folder.parent / ".packages-stamps") as (files, unpacked):
            unpack(files[0], unpacked, f"{ROOT}/*", "usr/share/doc/*/copyright")
            (folder / "media").mkdir(parents=True, exist_ok=True)
            write_licence(folder, LICENCE, files, unpacked.glob("usr/share/doc/*/copyright"))
            found = _stamps(unpacked / ROOT)
            check_count("stamps", len(found), self.rows)
            rows = [_row(*stamp, unpacked / ROOT, folder) for stamp in tracked(found.items(), progress)]
        split = sides([row[8] for row in rows], [row[7] for row in rows], folds=4, seed=seed)
        return write_table(folder / "table.csv", COLUMNS, [(*row, side) for row, side in zip(rows, split, strict=True)])


def _stamps(root: Path) -> dict[str, Path]:
    """The picture of each stamp by its path without ending, files of a folder before its folders; PNG before SVG."""
    pictures = [path for path in root.rglob("*") if path.suffix in (".png", ".svg")]
    found: dict[str, Path] = {}
    for path in sorted(pictures, key=lambda path: (path.parent.relative_to(root).parts, path.name)):
        if not path.stem.endswith("_mirror") and path.with_suffix(".txt").exists():
            found.setdefault(path.relative_to(root).with_suffix("").as_posix(), path)
    return found


def _row(stamp: str, picture: Path, root: Path, folder: Path) -> tuple[str, ...]:
    """Writes the media of a stamp; its cells but the last."""
    from PIL import Image

    name = stamp.replace("/", "__")
    kind = stamp.partition("/")[0]
    english, french = _names(picture.with_suffix(".txt"))
    drawing = render(picture, CANVAS) if picture.suffix == ".svg" else Image.open(picture)
    image = f"media/{name}.png"
    on_white(drawing, CANVAS).resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(folder / image)
    sounds = {}
    for what, ending in SOUNDS.items():
        recording = root / f"{stamp}{ending}"
        sounds[what] = f"media/{name}_{what}.ogg" if recording.exists() else ""
        if sounds[what]:
            write_ogg(recording, folder / sounds[what], sample_rate=SAMPLE_RATE)
    group = f"{kind}:{_plain(english)}"
    label = "other" if kind in SMALL else kind
    return (name, image, english, french, sounds["fr"], sounds["en"], sounds["sfx"], group, label)


def _names(file: Path) -> tuple[str, str]:
    """The English name, in the first line, and the French one, in a line `fr.utf8=`."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    translated = dict(line.split(".utf8=", 1) for line in lines[1:] if ".utf8=" in line)
    return lines[0].strip(), translated.get("fr", "").strip()


def _plain(name: str) -> str:
    """What a name says, for grouping.

    >>> _plain("A frog.")
    'frog'
    """
    return re.sub("[^a-z]", "", re.sub(r"^(a|an|the|some) ", "", name.lower()))[:18]
