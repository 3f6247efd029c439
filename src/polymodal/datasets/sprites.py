"""Clips of game figures that attack, move, die or idle: the movement says more than any one picture."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from polymodal.datasets._cache import Progress
from polymodal.datasets._packages import Package, archives, unpack
from polymodal.datasets._tables import check_count, on_white, sides, tracked, write_licence, write_table
from polymodal.errors import needs_extra

PACKAGE = Package("apt-get", "wesnoth-1.16-data")
UNITS = "usr/share/games/wesnoth/1.16/data/core/images/units"
SIZE, RATE = 96, 10  # pixels; pictures a second
FEWEST, MOST = 3, 16  # frames
ACTIONS = {  # words in the names of frames; the first that is found decides
    "die": ("die", "death", "dying"),
    "idle": ("idle", "stand"),
    "attack": (
        *("attack", "axe", "bite", "blade", "bow", "claws", "hammer", "impact", "kick", "mace", "magic", "melee"),
        *("pierce", "pincer", "ranged", "slash", "spear", "stinger", "sword", "tail", "throw"),
    ),
    "move": ("bob", "fly", "run", "takeoff"),
}
OTHER = ("n", "ne", "se", "s", "sw", "nw", "kill", "long", "decay", "fall")  # say where to, or how it goes on
COLUMNS = ("id", "video", "frames", "faction", "unit", "label", "split")

LICENCE = """\
sprites: unit animations of The Battle for Wesnoth (https://www.wesnoth.org), GPL version 2 or later, by the authors of
its art. Changed: frames drawn on white, 96 x 96, and joined to H.264 clips. Actions are read from file names and the
split is made by Polymodal.
"""


class Sprites:
    """The table has the columns id, video (mp4 of 3 to 16 frames), frames, faction, unit, label and split.

    A unit stays on one side of the split. `frames`, `faction`, `unit` and `id` are no features.
    """

    rows = 575
    version = 1
    title = "Short clips of game figures: attack, move, die or idle"
    source = "Debian package wesnoth-1.16-data (146 MB), through apt-get"
    licence = "GPL-2.0-or-later, The Battle for Wesnoth; see LICENCE.txt"
    synthetic = "real: animations drawn by artists"

    def build(self, folder: Path, *, seed: int = 0, progress: Progress | None = None) -> Path:
        """Writes the table as `Recipe.build` says; a third of the rows is test, stratified by action, units whole."""
        with archives([PACKAGE], folder.parent / ".packages-sprites") as (files, unpacked):
            unpack(files[0], unpacked, f"{UNITS}/*.png", "usr/share/doc/*/copyright")
            (folder / "media").mkdir(parents=True, exist_ok=True)
            write_licence(folder, LICENCE, files, unpacked.glob("usr/share/doc/*/copyright"))
            found = _clips(unpacked / UNITS)
            check_count("sprites", len(found), self.rows)
            rows: list[tuple[str, ...]] = []
            for clip, frames in tracked(found.items(), progress):
                faction, _, name = clip.rpartition("/")
                identity = clip.replace("/", "__")
                video = f"media/{identity}.mp4"
                _write_clip(frames, folder / video)
                rows.append((identity, video, str(len(frames)), faction, _unit(name), _action(name) or ""))
        split = sides([row[5] for row in rows], [row[4] for row in rows], folds=3, seed=seed)
        return write_table(folder / "table.csv", COLUMNS, [(*row, side) for row, side in zip(rows, split, strict=True)])


def _clips(root: Path) -> dict[str, list[Path]]:
    """The frames, at most 16, of every sequence `FACTION/UNIT-ACTION-NUMBER.png` whose name says an action."""
    numbered: defaultdict[str, dict[int, Path]] = defaultdict(dict)
    for path in sorted(root.rglob("*.png")):
        if found := re.fullmatch(r"(.+?)-?(\d+)", path.relative_to(root).with_suffix("").as_posix()):
            numbered[found[1]][int(found[2])] = path
    clips = {
        clip: [path for _, path in sorted(frames.items())][:MOST]
        for clip, frames in numbered.items()
        if len(frames) >= FEWEST and "/" in clip and _action(clip.rpartition("/")[2])
    }
    return dict(sorted(clips.items(), key=lambda item: item[0].replace("/", "__")))


def _words(name: str) -> list[str]:
    """The words after the unit's first one, without digits."""
    return [re.sub(r"\d", "", word) for word in name.split("-")[1:]]


def _action(name: str) -> str | None:
    """What the figure does, by the name of its frames.

    >>> _action("archer-bow-attack"), _action("archer-defend")
    ('attack', None)
    """
    words = _words(name)
    return next((action for action, known in ACTIONS.items() if any(word in known for word in words)), None)


def _unit(name: str) -> str:
    """Who it is, whatever it does.

    >>> _unit("white-cleric+female-se-magic")
    'white-cleric'
    """
    known = {word for words in ACTIONS.values() for word in words} | set(OTHER)
    words = name.replace("+female", "").split("-")
    while len(words) > 1 and (words[-1] in known or words[-1].isdigit()):
        words.pop()
    return re.sub(r"\d", "", "-".join(words))


def _write_clip(frames: Sequence[Path], path: Path) -> None:
    """Joins pictures to an H.264 clip.

    Raises:
        MissingExtraError: `av` is not installed.
    """
    with needs_extra("av", "datasets", "Writing clips"):
        import av
    from PIL import Image

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # with more threads, the bytes depend on the machine
        for number, frame in enumerate(frames):
            with Image.open(frame) as picture:
                image = av.VideoFrame.from_ndarray(np.asarray(on_white(picture, SIZE)), format="rgb24")
            image.pts, image.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(image))
        container.mux(stream.encode())
