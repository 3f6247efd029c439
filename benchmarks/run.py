"""Runs every benchmark, writes `results.json` beside this file, and ends with 1 if a goal is missed."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path

import bench_startup
import bench_train
import torch

RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    """The exit code."""
    goals = []
    for benchmark in (bench_startup, bench_train):
        for goal in benchmark.measure():
            print(goal, flush=True)
            goals.append(goal)
    machine = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(),
        "cores": os.cpu_count(),
    }
    results = {"machine": machine, "goals": [goal.record() for goal in goals]}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"Written: {RESULTS}")
    return 0 if all(goal.passed for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
