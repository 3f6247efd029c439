"""CPU seconds and peak memory of a training by default, beside those of an earlier commit in the same run.

    python benchmarks/default_speed.py DATA [--against COMMIT] [--table NAME]

DATA holds the folders of `avdigits`, `stamps` and `emoji`, as `five_tables.py` takes them. Nothing but the target, the
split and the identifiers is set: texts and pictures are learned from scratch. Both commits run at the same time, each
on one thread. `six_inputs` is a table of 240 rows with two pictures, two texts, a sound and numbers, made of `stamps`;
it is measured now only. Goals: a third of the CPU seconds of before, no more memory, and 120 seconds for six inputs.
Writes `default_speed.json`; what is there already is kept, whatever the commit: remove it to measure anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import earlier
import numpy as np
import pandas as pd
from goal import Goal
from tables import TASKS

HERE = Path(__file__).resolve().parent
RESULTS = Path(__file__).with_suffix(".json")
NAMES = ("avdigits", "emoji", "stamps", "six_inputs")
BEFORE = "538e3d9"  # before inputs earned their weight
_MOST_SECONDS = 120

MEASURED = """
import json, resource, sys, time, torch
torch.set_num_threads(1)
from polymodal.config.run_config import make
from polymodal.pipeline.run import train
found = train(sys.argv[1], make(json.loads(sys.argv[2]))).bundle.metrics.test["accuracy"].value
print(json.dumps({"accuracy": found, "seconds": time.process_time(),
                  "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def main() -> int:
    """The exit code: 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--against", default=BEFORE, metavar="COMMIT")
    parser.add_argument("--table", action="append", choices=NAMES, help="default: all")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before = earlier.sources(given.against, Path(folder) / "before")
        for name in given.table or NAMES:
            if name not in _log():
                _measure(name, given.data, before, Path(folder))
    goals = [goal for name, record in _log().items() for goal in _goals(name, record)]
    for goal in goals:
        print(goal)
    return int(not all(goal.passed for goal in goals))


def _measure(name: str, data: Path, before: Path, folder: Path) -> None:
    now = HERE.parent / "src"
    if name == "six_inputs":
        table, config = _six_inputs(data, folder)
        sources = {"now": now}
    else:
        table, config = _table(data, name)
        sources = {"before": before, "now": now}
    running = {when: _start(path, table, config) for when, path in sources.items()}
    record = {when: _result(process) for when, process in running.items()}
    RESULTS.write_text(json.dumps({**_log(), name: record}, indent=2) + "\n", encoding="utf-8")


def _goals(name: str, record: dict[str, dict[str, float]]) -> list[Goal]:
    detail = {f"{key} {when}": value for when, one in record.items() for key, value in one.items()}
    now = record["now"]
    if (before := record.get("before")) is None:
        return [Goal(f"CPU seconds, {name}", now["seconds"], _MOST_SECONDS, "s", at_most=True, detail=detail)]
    ratios = {key: now[key] / before[key] for key in ("seconds", "megabytes")}
    return [
        Goal(f"CPU seconds now / before, {name}", ratios["seconds"], 1 / 3, "", at_most=True, detail=detail),
        Goal(f"peak memory now / before, {name}", ratios["megabytes"], 1.0, "", at_most=True, detail={}),
    ]


def _log() -> dict[str, Any]:
    return dict(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.exists() else {}


def _start(sources: Path, table: Path, config: dict[str, Any]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(sources), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", MEASURED, str(table), json.dumps(config)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def _result(process: subprocess.Popen[str]) -> dict[str, float]:
    printed, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the training ended with {process.returncode}; see above")
    return dict(json.loads(printed.splitlines()[-1]))


def _table(data: Path, name: str) -> tuple[Path, dict[str, Any]]:
    task = TASKS[name]
    config = {"target": task.target, "drop": list(task.drop), "split": {"column": "split"}, "seed": 0}
    return data / name / "table.csv", config


def _six_inputs(data: Path, folder: Path) -> tuple[Path, dict[str, Any]]:
    """240 rows of `stamps`: its picture, that of another row of the class, two names, a spoken one, and its size."""
    rng = np.random.default_rng(0)
    rows = pd.read_csv(data / "stamps" / "table.csv", dtype=str, keep_default_na=False)
    rows = rows[rows["spoken_fr"] != ""].sample(240, random_state=0).reset_index(drop=True)
    media = rows[["image", "spoken_fr"]].map(lambda path: str((data / "stamps" / path).resolve()))
    others = {label: places.to_numpy() for label, places in rows.groupby("label").groups.items()}
    table = pd.DataFrame(
        {
            "picture": media["image"],
            "other_picture": [media["image"][rng.choice(others[label])] for label in rows["label"]],
            "name": rows["name_en"],
            "name_fr": rows["name_fr"],
            "spoken": media["spoken_fr"],
            "picture_bytes": [Path(path).stat().st_size for path in media["image"]],
            "sound_bytes": [Path(path).stat().st_size for path in media["spoken_fr"]],
            "label": rows["label"],
        }
    )
    path = folder / "six_inputs.csv"
    table.to_csv(path, index=False)
    return path, {"target": "label", "seed": 0}


if __name__ == "__main__":
    sys.exit(main())
