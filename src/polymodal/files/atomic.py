"""A folder appears whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from polymodal.files import streams
from polymodal.files.streams import Content, Digest


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty folder, which takes the place of what is at the path once the body has filled it.

    It lies beside the path, on the same file system, and is forced to disk before anything at the path is touched.
    On any error the path holds what it held before, and nothing is left beside it. The body writes with `write_file`.

    Raises:
        OSError: disk full, no permission, I/O error.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    stem = f".polymodal-{uuid4().hex}"
    new, old = folder.with_name(f"{stem}.new"), folder.with_name(f"{stem}.old")
    try:
        new.mkdir()
        yield new
        for inside in sorted(path for path in new.rglob("*") if path.is_dir()):
            _sync(inside)
        _sync(new)
        _swap(new, folder, old)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # exists only after an error, which is the one to report
    shutil.rmtree(old, ignore_errors=True)  # the new folder is in place: what stays of the old one is only rubbish


def write_file(path: Path, content: Content) -> Digest:
    """Writes a new file block by block, in a folder that is made if need be, and forces it to disk.

    Raises:
        OSError: disk full, no permission, I/O error, or the file exists.
    """
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        digest = streams.copy(content, file.write)
        file.flush()
        os.fsync(file.fileno())
    return digest


def _swap(new: Path, folder: Path, old: Path) -> None:
    """Moves `folder`, if there is one, to `old`, and `new` to `folder`; undoes both on an error."""
    try:
        if folder.exists():
            folder.replace(old)
        new.replace(folder)
        _sync(folder.parent)
    except BaseException:
        if not new.exists():
            folder.replace(new)
        if old.exists():
            old.replace(folder)
        raise


def _sync(folder: Path) -> None:
    """Forces the names in a folder to disk; only POSIX has a way to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
