"""What the examples share: their options and their table at the beginning, the figures at the end."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import polymodal as pm


def options(description: str, words: Sequence[str] | None, *, recipe: str | None) -> argparse.Namespace:
    """`table` (a path, or None where there is no recipe), `rows`, `epochs` and `output`, a folder that exists."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--table", type=Path, help="path of the table; without it, the table is built")
    parser.add_argument("--rows", type=int, help="for a quick look: only so many rows, evenly spread")
    parser.add_argument("--epochs", type=int, help="for a quick look: at most so many epochs")
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for pictures and the model")
    given = parser.parse_args(words)
    given.output.mkdir(parents=True, exist_ok=True)
    if given.table is None and recipe is not None:
        given.table = _built(recipe)
    return given


def read(path: Path, rows: int | None) -> pm.Table:
    """The table, or so many of its rows."""
    table = pm.read_table(path)
    if rows is None or rows >= table.num_rows:
        return table
    return table.take(np.linspace(0, table.num_rows - 1, rows).astype(int))


def side(table: pm.Table, name: str) -> pm.Table:
    """The rows whose column `split` says `train`, or `test`."""
    return table.take(np.flatnonzero(np.array(table.values("split")) == name))


def print_figures(model: pm.Estimator | pm.Classifier | pm.Regressor | pm.Generator, names: Sequence[str]) -> None:
    """Some metrics over the test rows with 95 % intervals, beside the baselines that every run has."""
    metrics = model.bundle_.metrics
    columns = {"model": metrics.test, **{k: v for k, v in metrics.baselines.shown.items() if names[0] in v}}
    print(" ".join(f"{word:23}" for word in ("metric", *columns)).rstrip())
    for name in names:
        cells = [f"{of[name].value:.3f} [{of[name].low:.3f}, {of[name].high:.3f}]" for of in columns.values()]
        print(" ".join(f"{word:23}" for word in (name, *cells)).rstrip())


def _built(recipe: str) -> Path:
    """The path of the table that `polymodal datasets build` prints last; built once, then kept."""
    program = Path(sys.executable).with_name("polymodal")
    done = subprocess.run([program, "datasets", "build", recipe], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)  # it has said why
    return Path(done.stdout.splitlines()[-1].split(maxsplit=1)[1])
