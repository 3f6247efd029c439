"""Emoji as OpenMoji draws them, with their names in four languages and their tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from polymodal.datasets._cache import Progress
from polymodal.datasets._packages import Package, archives, unpack
from polymodal.datasets._tables import check_count, on_white, render, sides, tracked, write_licence, write_table

DRAWINGS = Package("npm", "openmoji", "17.0.0")
NAMES = Package("npm", "emojibase-data", "17.0.0")
LANGUAGES = ("fr", "de", "es")
SIZE = 72
NEWEST = 16  # version of Emoji; later ones came after the figures in the documentation were measured
COLUMNS = ("id", "image", "name", "tags", "name_fr", "name_de", "name_es", "label", "subgroup", "split")

LICENCE = """\
emoji: drawings by OpenMoji (https://openmoji.org), CC BY-SA 4.0, changed: rendered at 72 x 72 pixels on white. Names,
tags and groups from emojibase-data by Miles Johnson, MIT, after Unicode's CLDR. The split is Polymodal's.
"""


class Emoji:
    """Columns: id, image, name, tags (joined by `|`), name_fr, name_de, name_es, label, subgroup and split.

    `subgroup` gives the label away and is no feature, and neither is `id`.
    """

    rows = 1906
    version = 1
    title = "Small drawings with names in four languages and English tags"
    source = "npm packages openmoji 17.0.0 and emojibase-data 17.0.0 (11 MB), through npm"
    licence = "drawings CC BY-SA 4.0 (OpenMoji); names and tags MIT (emojibase); see LICENCE.txt"
    synthetic = "real: drawn and named by people"

    def build(self, folder: Path, *, seed: int = 0, progress: Progress | None = None) -> Path:
        """Writes the table as `Recipe.build` says; a quarter of the rows is test, stratified by label."""
        with archives([DRAWINGS, NAMES], folder.parent / ".packages-emoji") as (files, unpacked):
            drawn, named = unpacked / "drawn", unpacked / "named"
            unpack(files[0], drawn, "package/color/svg/*.svg", "package/LICENSE*")
            wanted = (f"package/{language}/data.json" for language in ("en", *LANGUAGES))
            unpack(files[1], named, *wanted, "package/meta/groups.json", "package/LICENSE*")
            (folder / "media").mkdir(parents=True, exist_ok=True)
            write_licence(folder, LICENCE, files, unpacked.glob("*/package/LICENSE*"))
            drawings = {_key(path.stem): path for path in (drawn / "package/color/svg").iterdir()}
            rows = [row for row in _described(named / "package") if row[0] in drawings]
            check_count("emoji", len(rows), self.rows)
            for name, image, *_ in tracked(rows, progress):
                on_white(render(drawings[name], SIZE), SIZE).save(folder / image)
        split = sides([row[7] for row in rows], [row[0] for row in rows], folds=4, seed=seed)
        return write_table(folder / "table.csv", COLUMNS, [(*row, side) for row, side in zip(rows, split, strict=True)])


def _described(root: Path) -> list[tuple[str, ...]]:
    """The cells of each emoji but the last, in Unicode's order; parts of emoji (letters, skin, hair) are left out."""
    groups = json.loads((root / "meta/groups.json").read_bytes())
    other: list[dict[str, str]] = []
    for language in LANGUAGES:
        entries = json.loads((root / language / "data.json").read_bytes())
        other.append({entry["hexcode"]: entry["label"] for entry in entries})
    rows = []
    for entry in json.loads((root / "en/data.json").read_bytes()):
        found: dict[str, Any] = entry
        label = groups["groups"].get(str(found.get("group")), "component")
        if label == "component" or found["version"] > NEWEST:
            continue
        name, code = _key(found["hexcode"]), found["hexcode"]
        translated = (names.get(code, "") for names in other)
        subgroup = groups["subgroups"][str(found["subgroup"])]
        tags = "|".join(found.get("tags", ()))
        rows.append((name, f"media/openmoji_{name}.png", found["label"], tags, *translated, label, subgroup))
    return rows


def _key(code: str) -> str:
    """The code points of an emoji without U+FE0F, which some lists write and others leave out.

    >>> _key("2764-FE0F-200D-1F525")
    '2764-200d-1f525'
    """
    return "-".join(point for point in code.lower().split("-") if point != "fe0f")
