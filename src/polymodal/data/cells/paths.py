"""Finds the file that a cell names, also where its path is written as another program writes it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from polymodal.codecs.blanks import NO_WIDTH
from polymodal.codecs.wrappings import path_inside
from polymodal.errors import UnreadableCellError

ADDRESS = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*://", re.IGNORECASE)
_FILE_ADDRESS = re.compile(r"file:(?://(?:localhost)?(?=/))?(?!//)", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")

_QUOTED = re.compile(r"(['\"`])(.+)\1", re.DOTALL)

_STRIPPED = "read without the blanks around the path"
_UNQUOTED = "read without the quotes around the path"
_SLASHES = "read with / for the \\ of the path"
_OF_DICT = "read by the path in the dict"
_BY_ADDRESS = "read as the path of a file: address"


def locate(cell: str | Path, folder: Path) -> tuple[Path, str | None]:
    r"""The file that a cell names, relative to a folder, and a note where the path was not taken as it stands.

    The path as it stands comes first. Where no file is there: without blanks and quotes around it, from a `file:`
    address, and with `/` for `\`. Where none of these is there either, the path as it stands.

    Raises:
        UnreadableCellError: an address, or no path.
    """
    text = str(cell)
    if "\0" in text:
        raise UnreadableCellError("the path holds a NUL character")
    if ADDRESS.match(text.strip()):
        raise UnreadableCellError("an address, not a path: Polymodal does not fetch; download the file first")
    ways, stripped = list(_ways(text)), text.strip().lower()
    elsewhere = stripped.startswith("file:") or (os.name != "nt" and _DRIVE.match(stripped) is not None)
    if len(ways) == 1 and not elsewhere:
        return folder / text, None
    for path, notes in ways:
        if _is_there(folder / path):
            return folder / path, ", ".join(notes) or None
    if elsewhere and stripped.startswith("file:"):
        raise UnreadableCellError("no such file: write its path, not an address")
    if elsewhere:
        raise UnreadableCellError(
            "no such file: a path of Windows, which is not on this computer; write paths relative to the table"
        )
    return folder / text, None


def _ways(text: str) -> Iterator[tuple[str, list[str]]]:
    """The ways to read a path, the most literal first, each with what was changed."""
    found = [(text, list[str]())]
    stripped = text.strip().strip(NO_WIDTH).strip()
    if stripped and stripped != text:
        found.append((stripped, [_STRIPPED]))
    if (inside := path_inside(stripped)) is not None:
        found.append((inside, [_OF_DICT]))
    if match := _QUOTED.fullmatch(stripped):
        stripped = match[2].strip()
        found.append((stripped, [*found[-1][1], _UNQUOTED]))
    if match := _FILE_ADDRESS.match(stripped):
        rest, notes = stripped[match.end() :], [*found[-1][1], _BY_ADDRESS]
        found += [(path, notes) for path in dict.fromkeys((unquote(rest), rest)) if path]
    if os.name != "nt":
        found += [(path.replace("\\", "/"), [*notes, _SLASHES]) for path, notes in list(found) if "\\" in path]
    yield from found


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # such as a name that is too long
        return False
