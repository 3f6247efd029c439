"""A folder appears whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Puts a folder of exactly these files at the path, in place of what is there.

    The files are written to a new folder beside it, on the same file system and forced to disk, before anything at
    the path is touched. On any error the path holds what it held before, and nothing is left beside it.

    Raises:
        OSError: disk full, no permission, I/O error.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    stem = f".polymodal-{uuid4().hex}"
    new, old = folder.with_name(f"{stem}.new"), folder.with_name(f"{stem}.old")
    try:
        new.mkdir()
        for name, data in files.items():
            with (new / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _sync(new)
        _swap(new, folder, old)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # exists only after an error, which is the one to report
    shutil.rmtree(old, ignore_errors=True)  # the new folder is in place: what stays of the old one is only rubbish


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
