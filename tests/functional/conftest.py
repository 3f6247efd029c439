"""What the tests of the command line share: a way to run it in this process, a table and a trained run."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_tables import SMALL, make_rows, write_csv

from polymodal.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """How a command ended; the lines of its progress, one an epoch, are not in `err`."""

    code: int
    out: str
    err: str
    progress: tuple[str, ...] = ()


Cli = Callable[..., Outcome]
_EPOCH = re.compile(r"(\d+/\d+ )?(\S+ )*\s*epoch \d+/\d+  loss ")


def _run(*words: object, settings: list[str] | None = None) -> Outcome:
    out, err = io.StringIO(), io.StringIO()
    assignments = [word for setting in settings or [] for word in ("--set", setting)]
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*map(str, words), *assignments])
    lines = err.getvalue().splitlines(keepends=True)
    progress = [line for line in lines if _EPOCH.match(line)]
    return Outcome(
        code, out.getvalue(), "".join(line for line in lines if line not in progress), tuple(map(str.strip, progress))
    )


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Runs `polymodal WORDS ...` in this process; `settings` become `--set`s."""
    return _run


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 rows of every modality; every fifth is for test. Not to be changed."""
    folder = tmp_path_factory.mktemp("table")
    rows = [{**row, "side": "train" if k % 5 else "test"} for k, row in enumerate(make_rows(folder))]
    return write_csv(folder / "table.csv", rows)


@pytest.fixture(scope="session")
def run(cli: Cli, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run on that table. Not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = cli("train", table, "--target", "label", "--split", "side", "-o", folder, settings=SMALL)
    assert (done.code, done.err) == (0, "")
    return folder
