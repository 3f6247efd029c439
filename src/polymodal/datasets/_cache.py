"""Builds the table of a recipe once and keeps it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from polymodal import registry

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the rows done and the rows to do."""


@runtime_checkable
class Recipe(Protocol):
    """How a data set is built; one file of `datasets/` each."""

    rows: int  # of its table
    version: int  # goes up when the recipe gives another table, so that an old one is not used any more
    title: str  # one line: what the data are
    source: str  # where they come from
    licence: str  # what they are under, in a line
    synthetic: str  # what of them is real and what is made

    def build(self, folder: Path, *, seed: int = 0, progress: Progress | None = None) -> Path:
        """Writes table.csv, LICENCE.txt and, where cells name files, media/ into the folder.

        What is downloaded lies beside the folder meanwhile.

        Args:
            folder: made if it does not exist.
            seed: of every random choice, the split above all; the same seed gives the same table.
            progress: where it is told how far the work is.

        Returns:
            The path of table.csv.

        Raises:
            UsageError: a client that downloads packages is missing or failed.
            MissingExtraError: a package that draws, films or speaks is not installed.
            DataError: a package is damaged.
        """


def cached(name: str, root: Path | None = None, *, progress: Progress | None = None) -> Path:
    """The path of the table.csv of a recipe: built when it is not there, or not whole, else as it is.

    It lies in `ROOT/NAME-VERSION/`. Processes that ask at the same time build it once: the others wait.

    Args:
        name: a recipe.
        root: by default a folder in the user's cache folder.
        progress: called with the rows done and the rows to do, when it is built.

    Raises:
        ConfigError: no recipe has that name.
        MissingExtraError: the recipe needs a package that is not installed.
    """
    recipe: Recipe = registry.load("datasets", name)()
    root = default_root() if root is None else root
    folder = root / f"{name}-{recipe.version}"
    if _is_whole(folder, recipe):
        return folder / "table.csv"
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / f".{folder.name}.lock"):
        if not _is_whole(folder, recipe):  # else another process built it meanwhile
            _build(recipe, folder, progress)
    return folder / "table.csv"


def default_root() -> Path:
    """Where data sets are kept: by the system's convention for what may be deleted and made again."""
    if sys.platform == "win32":
        return Path.home() / "AppData/Local/polymodal/Cache/datasets"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/polymodal/datasets"
    return Path.home() / ".cache/polymodal/datasets"


def _build(recipe: Recipe, folder: Path, progress: Progress | None) -> None:
    """Builds beside the folder and renames, so that the folder is whole or absent. Needs the lock."""
    partial = folder.with_name(f".{folder.name}.partial")
    for leftover in (partial, folder):  # of a process that was killed; damaged
        if leftover.exists():
            shutil.rmtree(leftover)
    try:
        recipe.build(partial, progress=progress)
        manifest = json.dumps(_facts(partial, recipe), indent=2)
        (partial / "manifest.json").write_text(manifest + "\n", encoding="utf-8")
        partial.rename(folder)
    finally:
        if partial.exists():
            shutil.rmtree(partial)


def _is_whole(folder: Path, recipe: Recipe) -> bool:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        return bool(manifest == _facts(folder, recipe))
    except (OSError, ValueError):  # no manifest or no table; not JSON
        return False


def _facts(folder: Path, recipe: Recipe) -> dict[str, str | int]:
    """What the manifest says. Media are counted and not hashed: reading them would take as long as using them."""
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file() and file.name != "manifest.json"]
    with (folder / "table.csv").open("rb") as table:
        digest = hashlib.file_digest(table, "sha256").hexdigest()
    return {"rows": recipe.rows, "sha256": digest, "files": len(sizes), "bytes": sum(sizes)}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Waits until no other process holds the lock; the system frees it when its process ends, however it ends."""
    with path.open("ab") as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:  # held for ten seconds: wait on
                    continue
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
