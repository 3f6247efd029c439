"""Says why a cell may name no file, and which one may be meant. Nothing is opened, no other file is read instead."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

_LONGEST = 1_024  # characters of a path
_LONG = 40  # characters: as no word is
_MOST_NAMES = 100_000  # of one folder that are looked at
_VARIABLE = re.compile(r"\$\w+|\$\{\w+\}|%\w+%[\\/]")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{4,}={0,2}")
_MARKUP = re.compile(
    r"""!\[[^\]]*\]\(\s*(?P<markdown>[^\s)]+)[^)]*\)|<img\b[^>]*\bsrc\s*=\s*["']?(?P<html>[^"'>\s]+)[^>]*>""",
    re.IGNORECASE,
)
_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".wav", ".mp3", ".flac", ".ogg", ".mp4")


class Absence(NamedTuple):
    """Why there is no file.

    Attributes:
        cause: the same for all cells with the same fault.
        near: the file that may be meant, relative to the folder; None where none is there.
    """

    cause: str
    near: str | None = None


def why_absent(cell: str, folder: Path) -> Absence | None:
    """The likely cause why a cell names no file; None where it cannot be told.

    Only names below the folder are looked at.
    """
    text = cell.strip().strip("'\"`").replace("\\", "/")
    if (inside := path_in_markup(text)) is not None:
        return Absence("write the path alone, without markup", _there(inside, folder))
    if not text or len(text) > _LONGEST or "\0" in text:
        return None
    if text.startswith("~") or _VARIABLE.match(text):
        what = "~ is" if text.startswith("~") else "variables are"
        return Absence(f"{what} not expanded; write paths relative to the table", _by_its_end(text, folder))
    for cause, near in _ways(text, folder):
        if near is not None:
            return Absence(cause, near)
    if _BASE64.fullmatch(text) and (len(text) % 4 == 0 or len(text) >= _LONG):
        return Absence("nor does it hold a picture, a recording or a video in base64")
    return None


def path_in_markup(text: str) -> str | None:
    """The path of a picture in Markdown or HTML; None for any other text.

    >>> path_in_markup("![a cat](img/0.png)"), path_in_markup('<img src="img/0.png">')
    ('img/0.png', 'img/0.png')
    """
    found = _MARKUP.fullmatch(text) if len(text) <= _LONGEST and text[:1] in ("!", "<") else None
    return None if found is None else found["markdown"] or found["html"]


def _ways(text: str, folder: Path) -> Iterator[tuple[str, str | None]]:
    """What may be wrong with a path, each with the file that is there if it is so."""
    yield "one is there by the name without %-escapes such as %20", _there(unquote(text), folder, but=text)
    yield "one is there by the name without what follows ?", _there(re.split("[?#]", text)[0], folder, but=text)
    near = _in_other_letters(text, folder)
    if near is not None and unicodedata.normalize("NFC", near) == unicodedata.normalize("NFC", text):
        yield "one is there whose name has its accents encoded otherwise", near
    yield "one is there whose name differs in upper and lower case", near
    yield "one is there by the end of the path; write paths relative to the table", _by_its_end(text, folder)
    added = (_there(text + ending, folder) for ending in _ENDINGS)
    yield "one is there whose name has an ending", next(filter(None, added), None)
    stem = os.path.splitext(text)[0]  # noqa: PTH122 - of a path that need not be one
    found = (_there(stem + ending, folder, but=text) for ending in _ENDINGS)
    yield "one is there whose name has another ending", next(filter(None, found), None)


def _there(text: str, folder: Path, *, but: str = "") -> str | None:
    """The path, if it stays below the folder and a file is there."""
    path = PurePosixPath(text)
    if not text or text == but or path.is_absolute() or ".." in path.parts or _DRIVE.match(text):
        return None
    try:
        return text if (folder / text).is_file() else None
    except (OSError, ValueError):  # such as a name that is too long
        return None


def _by_its_end(text: str, folder: Path) -> str | None:
    """The longest end of a path at which a file is."""
    parts = [part for part in text.split("/") if part]
    ends = ("/".join(parts[start:]) for start in range(0 if text.startswith("/") else 1, len(parts)))
    return next(filter(None, (_there(end, folder, but=text) for end in ends)), None)


def _in_other_letters(text: str, folder: Path) -> str | None:
    """The path in the case, and the encoding of accents, in which it is there."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        return None
    place, found = folder, list[str]()
    for part in path.parts:
        try:
            names = _names(str(place), os.stat(place).st_mtime_ns)  # noqa: PTH116 - beside os.scandir
        except (OSError, ValueError):
            return None
        name = part if _is_there(place / part) else names.get(_plain(part))
        if name is None:
            return None
        found.append(name)
        place = place / name
    return _there("/".join(found), folder, but=text)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@lru_cache(maxsize=16)
def _names(folder: str, _changed: int) -> dict[str, str]:
    """The names in a folder, by what they are but for case and accents, as of its last change."""
    with os.scandir(folder) as entries:
        return {_plain(entry.name): entry.name for entry in islice(entries, _MOST_NAMES)}


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
