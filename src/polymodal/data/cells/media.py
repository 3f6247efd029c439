"""Opens media cells: a path, bytes or an array in; checked content and its hash out. Nothing is ever fetched."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polymodal.codecs import embedded
from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.absent import why_absent
from polymodal.data.cells.paths import ADDRESS, locate
from polymodal.errors import UnreadableCellError

HEAD = 1_024  # so many first bytes of a file are shown to recognition: enough to tell sound from pictures

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# O_NONBLOCK: a pipe that takes the file's place after the check cannot make us wait
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


_SEPARATOR = re.compile(r"[|;]")
_BETWEEN_URLS = re.compile(r"[|;,]?\s*(?=data:)")  # which hold `;` and `,` themselves
_FIRST_MEMBER = re.compile(r"[\[\s\"']*(b'[^']*|b\"[^\"]*|data:[^,]*,[^|;\"'\]]*|[^|;,\"'\]]*)")  # of a long text
_LONGEST_LIST = 10_000  # members
_LONGEST_PRINTED = 50_000_000  # characters of a list as Python prints it
_SHOWN = 3  # members of a list whose first bytes recognition sees


class _NoSuchFileError(UnreadableCellError):
    """There is no file at a path."""


@dataclass(frozen=True)
class OpenedCell:
    """What a media cell holds.

    Attributes:
        content: the file's bytes, or the array that the table holds; of a cell that lists several, a tuple of these.
        sha256: of the bytes; of an array's type, shape and values; of a list, of the hashes of its members.
        file: where the bytes were read; None where the table holds them itself.
        notes: how paths were read that are not taken as they stand.
    """

    content: bytes | np.ndarray | tuple[bytes | np.ndarray, ...]
    sha256: str
    file: str | None
    notes: tuple[str, ...] = ()


def open_cell(cell: object, folder: Path, limits: LimitsConfig, *, several: bool = False) -> OpenedCell:
    """The content of a media cell.

    Args:
        cell: a path (relative to the folder, or absolute; a link is followed), bytes, also written as text (base64, a
            `data:` URL, ...), an array or a PIL image.
        folder: what relative paths are relative to.
        limits: `bytes` is checked before a file is read, `pixels` before a PIL image is decoded.
        several: the cell may list media, see `members`; together they count as one for the limit on bytes.

    Raises:
        UnreadableCellError: with the reason: no such file, not a regular file, empty, too large, an address, ...
    """
    if several and (listed := members(cell)) is not None:
        return _open_members(listed, folder, limits)
    if isinstance(cell, str) and (content := embedded.content(cell, limits.bytes)) is not None:
        _check_size(len(content), limits.bytes)
        return OpenedCell(content, hashlib.sha256(content).hexdigest(), None)
    if isinstance(cell, str | Path):
        path, note = locate(cell, folder)
        try:
            content = _read(path, limits.bytes)
        except _NoSuchFileError as error:
            absence = why_absent(str(cell), folder)
            raise UnreadableCellError("no such file" + (f": {absence.cause}" if absence else "")) from error
        return OpenedCell(content, hashlib.sha256(content).hexdigest(), str(path), (note,) if note else ())
    if isinstance(cell, bytes | bytearray | memoryview):
        _check_size(memoryview(cell).nbytes, limits.bytes)
        content = bytes(cell)
        return OpenedCell(content, hashlib.sha256(content).hexdigest(), None)
    array = as_array(cell, limits)
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        raise UnreadableCellError(f"expected a path, bytes or an array of numbers, got {type(cell).__name__}")
    _check_size(array.nbytes, limits.bytes)
    return OpenedCell(array, digest(array), None)


def lists_media(modality: object) -> bool:
    """Whether the cells of a modality list several media each."""
    return bool(getattr(modality, "several", False))


def members(cell: object) -> list[object] | None:
    """The media that a cell lists: a list or tuple, its text in JSON or as Python prints it, or paths with `|` or `;`.

    Gaps in a list do not count. None where the cell lists nothing.

    >>> members('["a.png", "b.png"]'), members("a.png; b.png"), members("a.png")
    (['a.png', 'b.png'], ['a.png', 'b.png'], None)
    """
    found: list[object] | None = None
    if isinstance(cell, list | tuple):
        found = list(cell)
    elif isinstance(cell, str) and cell.lstrip().startswith("["):
        found = _listed(cell)
    elif isinstance(cell, str) and cell.lstrip().startswith(("data:", "b'", 'b"')):
        parts = _BETWEEN_URLS.split(cell.strip()) if cell.lstrip().startswith("data:") else []
        found = [part for part in parts if part] if len(parts) > 2 else None
    elif isinstance(cell, str) and _SEPARATOR.search(cell) and not cell.lstrip().startswith(("{'", '{"')):
        found = [path.strip() for path in _SEPARATOR.split(cell)]
    if found is None:
        return None
    return [member for member in found if member is not None and not (isinstance(member, str) and not member.strip())]


def files_of(cell: object, folder: Path) -> list[str | None]:
    """The file of each member that a cell lists, or of the cell itself, as `file_of` gives it."""
    listed = members(cell)
    return [file_of(member, folder) for member in ([cell] if listed is None else listed)]


def heads(cell: object, folder: Path) -> list[bytes | None]:
    """The first bytes of some of the media that a cell lists; empty where it lists none."""
    long = isinstance(cell, str) and len(cell) > _LONGEST_LIST
    first = _FIRST_MEMBER.match(str(cell)[:_LONGEST_LIST]) if long else None
    listed = None if first is not None and embedded.head(first[1]) is None else members(cell)
    return [head(member, folder) for member in (listed or ())[:_SHOWN]]


def file_of(cell: object, folder: Path) -> str | None:
    """The file that a cell names, as a message shows it, an address as it is; None for a cell that names none."""
    if not isinstance(cell, str | Path) or (isinstance(cell, str) and embedded.head(cell) is not None):
        return None
    if isinstance(cell, str) and ADDRESS.match(cell.strip()):
        return cell
    try:
        return str(locate(cell, folder)[0])
    except UnreadableCellError:  # the reason is told when the cell is read
        return str(folder / cell)


def head(cell: object, folder: Path) -> bytes | None:
    """The first bytes of what a cell names or holds; None where there are none to be had."""
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(memoryview(cell)[:HEAD])
    if not isinstance(cell, str | Path):
        return None
    if isinstance(cell, str) and (start := embedded.head(cell)) is not None:
        return start
    try:
        descriptor, _ = _open(locate(cell, folder)[0])
        with os.fdopen(descriptor, "rb") as file:
            return file.read(HEAD)
    except (UnreadableCellError, OSError):  # the reason is told when the cell is read
        return None


def digest(array: np.ndarray) -> str:
    """Sha256 of an array: its type, its shape and its values."""
    state = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    state.update(array.tobytes())
    return state.hexdigest()


def as_array(cell: object, limits: LimitsConfig) -> object:
    """A PIL image as an array, so that modalities need not know of PIL; every other cell as it is.

    Raises:
        UnreadableCellError: the image has too many pixels or is damaged.
    """
    pil = sys.modules.get("PIL.Image")
    return _pixels(cell, limits.pixels) if pil is not None and isinstance(cell, pil.Image) else cell


def _open_members(listed: list[object], folder: Path, limits: LimitsConfig) -> OpenedCell:
    if len(listed) > _LONGEST_LIST:
        raise UnreadableCellError(f"lists {len(listed):,} media; at most {_LONGEST_LIST:,} are let in")
    contents: list[bytes | np.ndarray] = []
    notes: dict[str, None] = {}
    state = hashlib.sha256(b"several")
    size = 0
    for place, member in enumerate(listed):
        try:
            opened = open_cell(member, folder, limits)
            assert not isinstance(opened.content, tuple)
            size += len(opened.content) if isinstance(opened.content, bytes) else opened.content.nbytes
            _check_size(size, limits.bytes)
        except UnreadableCellError as error:
            raise UnreadableCellError(f"picture {place + 1} of {len(listed)}: {error}", member=place) from error
        contents.append(opened.content)
        notes.update(dict.fromkeys(opened.notes))
        state.update(bytes.fromhex(opened.sha256))
    return OpenedCell(tuple(contents), state.hexdigest(), None, tuple(notes))


def _listed(cell: str) -> list[object] | None:
    """A list of texts as JSON writes it, or of texts and bytes as Python prints it."""
    try:
        parsed = json.loads(cell)
    except (ValueError, RecursionError):
        if len(cell) > _LONGEST_PRINTED or not re.match(r"\s*\[\s*[bB]?['\"]", cell):
            return None
        try:
            parsed = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    return parsed if isinstance(parsed, list) and all(isinstance(path, str | bytes) for path in parsed) else None


def _open(path: Path) -> tuple[int, int]:
    """Descriptor and size of a regular file; whatever is not one is never opened."""
    try:
        _check_regular(os.stat(path).st_mode)  # noqa: PTH116 - beside os.open, which pathlib lacks
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise _NoSuchFileError("no such file") from None
    except (OSError, UnicodeEncodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the path is not valid text"
        raise UnreadableCellError(f"cannot be opened: {reason}") from error
    status = os.fstat(descriptor)
    try:
        _check_regular(status.st_mode)
    except UnreadableCellError:
        os.close(descriptor)
        raise
    return descriptor, status.st_size


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for matches, name in _KINDS if matches(mode)), "not a file")
        raise UnreadableCellError(f"{kind}, not a regular file")


def _read(path: Path, limit: int) -> bytes:
    descriptor, size = _open(path)
    with os.fdopen(descriptor, "rb") as file:
        _check_size(size, limit)
        try:
            content = file.read(limit + 1)
        except OSError as error:
            raise UnreadableCellError(f"cannot be read: {error.strerror}") from error
    _check_size(len(content), limit)  # a file may grow, and those of /proc say that they are empty
    return content


def _check_size(size: int, limit: int) -> None:
    if size == 0:
        raise UnreadableCellError("holds no bytes")
    if size > limit:
        raise UnreadableCellError(f"{size:,} bytes are more than the limit of {limit:,} (limits.bytes)")


def _pixels(image: object, limit: int) -> np.ndarray:
    """A PIL image, upright -> [H, W], [H, W, 3] or [H, W, 4]; uint8, or uint16 or float32 where it has more bits."""
    from PIL import Image, ImageOps

    assert isinstance(image, Image.Image)
    count = image.width * image.height
    if count > limit:
        raise UnreadableCellError(f"{count:,} pixels are more than the limit of {limit:,} (limits.pixels)")
    try:
        upright = ImageOps.exif_transpose(image)
        see_through = upright.has_transparency_data  # L and RGB, too, may have one transparent colour
        if upright.mode in ("RGBA", "F") or (upright.mode in ("L", "RGB") and not see_through):
            return np.asarray(upright)  # PIL would clip floats in [0, 1] to black
        if not upright.mode.startswith("I"):
            return np.asarray(upright.convert("RGBA" if see_through else "RGB"))
        pixels = np.asarray(upright)
    except (OSError, SyntaxError, ValueError) as error:  # what PIL raises for damaged files, which it reads late
        raise UnreadableCellError(f"not a readable image: {error}") from error
    low, high = int(pixels.min(initial=0)), int(pixels.max(initial=0))
    if low < 0 or high > 65_535:
        raise UnreadableCellError(f"pixels outside 0 to 65535: from {low} to {high}")
    pixels = pixels.astype(np.uint16)  # PIL would clip 16 bits a pixel at 255
    colour = upright.info.get("transparency")
    if not isinstance(colour, int):
        return pixels
    return np.stack([pixels, pixels, pixels, np.where(pixels == colour, 0, 65_535).astype(np.uint16)], axis=2)
