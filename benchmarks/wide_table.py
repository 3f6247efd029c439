"""CPU seconds and peak memory for a table of 2,000 columns and one of 500,000 rows, beside those of an earlier commit.

    python benchmarks/wide_table.py [--against COMMIT] [--case NAME]

Both tables are built from a seed. `wide` has 60 rows and 2,000 columns: numbers, one category in ten, and the target.
`long` has 500,000 rows and 20 columns: ten numbers, four categories, five texts, and the target. Every command is a
process of its own on one thread, as a user starts it: importing counts, from bytecode, as after an installation.
`tiny` is a table of two rows, which shows how much that is. The least of three runs counts, of `long` one: what else a
machine does only adds. Goals: `inspect` of `wide` 5 CPU seconds, a training of two epochs 60; `inspect` of `long` 60
CPU seconds and 2 GB. Writes `wide_table.json`; what is there already is kept: remove it to measure anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import earlier
import numpy as np
from goal import Goal

HERE = Path(__file__).resolve().parent
RESULTS = Path(__file__).with_suffix(".json")
BEFORE = "25d2201"  # before a look at one column cost the same in a table of any width
CASES = {
    "tiny inspect": ("tiny", ["inspect", "TABLE", "--target", "label"]),
    "wide inspect": ("wide", ["inspect", "TABLE"]),
    "wide inspect with a target": ("wide", ["inspect", "TABLE", "--target", "label"]),
    "wide train": (
        "wide",
        ["train", "TABLE", "--target", "label", "--set", "train.epochs=2", "-o", "RUN", "--overwrite"],
    ),
    "long inspect": ("long", ["inspect", "TABLE", "--target", "label"]),
}
GOALS = {  # CPU seconds, and megabytes where there is a goal for them
    "wide inspect": (5, None),
    "wide train": (60, None),
    "long inspect": (60, 2000),
}
_SYLLABLES = ("ba", "ko", "mi", "ru", "ta", "so", "le", "ni", "va", "pe")
_RUNS = 3
_STEP = 50_000  # rows in memory at a time


def main() -> int:
    """The exit code: 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", default=BEFORE, metavar="COMMIT")
    parser.add_argument("--case", action="append", choices=CASES, help="default: all")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = {"before": earlier.sources(given.against, folder / "before"), "now": HERE.parent / "src"}
        for case in given.case or CASES:
            if case not in _log():
                record = {when: _least(case, path, folder) for when, path in sources.items()}
                RESULTS.write_text(json.dumps({**_log(), case: record}, indent=2) + "\n", encoding="utf-8")
                print(case, record, flush=True)
    goals = [goal for case, record in _log().items() for goal in _goals(case, record)]
    for goal in goals:
        print(goal)
    return int(not all(goal.passed for goal in goals))


def _goals(case: str, record: dict[str, dict[str, float]]) -> list[Goal]:
    seconds, megabytes = GOALS.get(case, (None, None))
    now = record["now"]
    detail = {"before": record["before"]["seconds"]}
    found = []
    if seconds is not None:
        found.append(Goal(f"CPU seconds, {case}", now["seconds"], seconds, "s", at_most=True, detail=detail))
    if megabytes is not None:
        found.append(Goal(f"peak memory, {case}", now["megabytes"], megabytes, "MB", at_most=True, detail={}))
    return found


def _least(case: str, sources: Path, folder: Path) -> dict[str, float]:
    """Each figure of the run in which it is least."""
    runs = [_measure(case, sources, folder) for _ in range(1 if case.startswith("long") else _RUNS)]
    return {name: min(run[name] for run in runs) for name in runs[0]}


def _measure(case: str, sources: Path, folder: Path) -> dict[str, float]:
    """CPU seconds and peak memory of one command, run to its end."""
    table, command = CASES[case]
    path = folder / f"{table}.csv"
    if not path.exists():
        {"tiny": _tiny, "wide": _wide, "long": _long}[table](path)
    run = folder / f"run of {sources.parent.name}"
    words = [{"TABLE": str(path), "RUN": str(run)}.get(word, word) for word in command]
    environment = {**os.environ, "PYTHONPATH": str(sources), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
    program = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        "import sys; from polymodal.cli.main import main; sys.exit(main())",
        *words,
    ]
    process = subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}; see above")
    return {"seconds": round(usage.ru_utime + usage.ru_stime, 1), "megabytes": round(usage.ru_maxrss / 1024)}


def _tiny(path: Path) -> None:
    path.write_text("a,b,label\n1,2,p\n2,3,q\n", encoding="utf-8")


def _wide(path: Path, columns: int = 2_000, rows: int = 60) -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["p", "q"])[np.arange(rows) % 2]
    values = rng.normal(size=(rows, columns - 1)).round(3)
    values[:, 0] += 3 * (labels == "p")
    cells: list[Sequence[object]] = [values[:, column].tolist() for column in range(columns - 1)]
    for column in range(3, columns - 1, 10):
        cells[column] = np.array(["red", "green", "blue"])[rng.integers(0, 3, rows)].tolist()
    names = [*(f"f{column}" for column in range(columns - 1)), "label"]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *zip(*cells, labels.tolist(), strict=True)])


def _long(path: Path, rows: int = 500_000) -> None:
    rng = np.random.default_rng(0)
    words = np.array([first + second for first in _SYLLABLES for second in _SYLLABLES])
    names = [*(f"x{k}" for k in range(10)), *(f"c{k}" for k in range(4)), *(f"t{k}" for k in range(5)), "label"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for start in range(0, rows, _STEP):
            count = min(_STEP, rows - start)
            numbers, kinds = rng.normal(size=(count, 10)).round(4), rng.integers(0, 20, (count, 4))
            labels = np.where(numbers[:, 0] + rng.normal(size=count) > 0, "yes", "no").tolist()
            texts = [[" ".join(words[rng.integers(0, 100, size)]) for size in rng.integers(5, 13, count)]
                     for _ in range(5)]  # fmt: skip
            for row, label in enumerate(labels):
                of_kind = (f"kind {kind}" for kind in kinds[row])
                writer.writerow([*numbers[row].tolist(), *of_kind, *(column[row] for column in texts), label])


def _log() -> dict[str, Any]:
    return dict(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
