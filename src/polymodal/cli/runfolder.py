"""The folder that a training leaves: only ever one run's, and only where nothing else can be harmed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from polymodal.errors import UsageError

CONFIG = "run.yaml"
LOG = "log.jsonl"
REJECTS = "rejects.jsonl"
CLEAN = "clean.jsonl"
BUNDLE = "bundle"
REPORT = "report.html"
TENSORBOARD = "tensorboard"
_LOCK = ".lock"
_OF_A_RUN = {CONFIG, LOG, REJECTS, CLEAN, BUNDLE, REPORT, TENSORBOARD, _LOCK}


@contextmanager
def run_folder(path: Path, *, overwrite: bool) -> Iterator[None]:
    """Makes the folder, and keeps other runs out of it. If nothing is written, no trace of it stays.

    Raises:
        UsageError: it cannot be written to, holds an older run or other files, or another run is at work there.
    """
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    with ExitStack() as stack:
        stack.callback(_remove_empty, new)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if others := sorted(_names(path) - _OF_A_RUN):  # before a lock is put there: it may be anybody's
                named = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
                raise UsageError(
                    f"{path} holds files that no run wrote: {named}. Choose a folder that is new or empty."
                )
            stack.enter_context(_locked(path))
        except OSError as error:
            raise UsageError(f"Cannot write to the run's folder {path}: {error.strerror}. Choose another.") from error
        if not overwrite and _names(path) - {_LOCK, LOG, TENSORBOARD}:  # a log alone is of a run that failed
            raise UsageError(f"{path} holds an older run. Choose another folder, or add --overwrite.")
        yield


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it holds something, or could not be made
            folder.rmdir()


def _names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which the system frees when its process ends, however it ends."""
    path = folder / _LOCK
    file = path.open("ab")
    try:
        if not (_try_lock(file) and _is_at(path, file)):
            raise UsageError(f"Another run is writing to {folder}. Wait for its end, or choose another folder.")
        try:
            yield
        finally:
            with suppress(OSError):  # Windows keeps a file that is open
                path.unlink()
    finally:
        file.close()


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(path: Path, file: IO[bytes]) -> bool:
    """Whether the file is still the one at the path: a run that just ended may have taken it away."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
