"""`polymodal datasets`: real tables to try things on, built on this machine from what packages carry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polymodal.cli.terminal import counting, say
from polymodal.errors import UsageError

if TYPE_CHECKING:
    from polymodal.datasets._cache import Recipe

FolderOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Where data sets are kept; else by $POLYMODAL_CACHE, $XDG_CACHE_HOME, the system."
    ),
]

app = typer.Typer(help="List the data sets that can be built here, or build one.", rich_markup_mode=None)


@app.command("list")
def list_recipes() -> None:
    """List the data sets that can be built: rows, sources, licences, and the size of those that are built."""
    from polymodal import registry
    from polymodal.datasets._cache import default_root

    root = _root() or default_root()
    for name in registry.names("datasets"):
        recipe = _describe(name)
        table = root / f"{name}-{recipe.version}" / "table.csv"
        say(f"  built      {f'{table}, {_size(table.parent)}' if table.exists() else 'not yet'}")
        say()


@app.command()
def build(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See: polymodal datasets list.")],
    folder: FolderOption = None,
) -> None:
    """Build a data set, unless it is there already, and print the path of its table."""
    path = obtain(name, folder)
    _describe(name)
    say(f"  size       {_size(path.parent)}")
    say(f"  table      {path}")


def obtain(name: str, folder: Path | None) -> Path:
    """The path of a data set's table, built when needed; says on a terminal how far it is.

    Raises:
        UsageError: the folder cannot be written to, or the disk is full.
    """
    from polymodal.datasets._cache import cached

    try:
        with counting(f"building {name}: row") as progress:
            return cached(name, folder or _root(), progress=progress)
    except OSError as error:
        raise UsageError(f"Cannot build the data set {name}: {error}. Another --folder may help.") from error


def _root() -> Path | None:
    """Where the environment says that data sets are kept; None where it says nothing."""
    if own := os.environ.get("POLYMODAL_CACHE"):
        return Path(own) / "datasets"
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "polymodal" / "datasets"
    return None


def _size(folder: Path) -> str:
    """What a folder takes on the disk, in words."""
    return f"{sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:,.1f} MB"


def _describe(name: str) -> Recipe:
    from polymodal import registry

    recipe: Recipe = registry.load("datasets", name)()
    say(f"{name}: {recipe.title}")
    say(f"  rows       {recipe.rows}")
    say(f"  source     {recipe.source}")
    say(f"  licence    {recipe.licence}")
    say(f"  synthetic  {recipe.synthetic}")
    return recipe
