"""Accuracy on five real tables: the defaults beside others on folds of the training rows, then on the test rows.

    python benchmarks/five_tables.py choose    # writes five_tables/choice.json: the log of the choice
    python benchmarks/five_tables.py measure   # trains with the defaults: case A of cases.py, in cases/results.json

Both take `--table NAME` (repeatable) for some of the tables only, and `--data DIR` for a folder that holds
`NAME/table.csv`; without it the recipes of `polymodal.datasets` build the tables. What is there already is kept, so a
run can be continued. The two small sets of pretrained weights come inside packages of the extra `dev`.

The baselines are logistic regressions for each input, their log-probabilities averaged (pretrained features for the
pictures and texts of `stamps` and `emoji`), and the standard errors are those of a share of that many test rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cases import measure, recorded
from tables import TASKS, config_of, table_of

import polymodal as pm

FOLDER = Path(__file__).parent / "five_tables"
SEEDS = (0, 1, 2)
SINGLE = ("sprites",)  # one input: there is nothing to fuse
_REFERENCE = "concat"  # the defaults
CANDIDATES: Mapping[str, Mapping[str, Any]] = {
    "concat": {"fusion": "concat"},
    "concat, unimodal heads only": {"fusion": "concat", "train": {"ensemble": ["unimodal"]}},
    "concat alone": {"fusion": "concat", "train": {"ensemble": []}},
    "average alone": {"fusion": "average", "train": {"ensemble": []}},
    "gated alone": {"fusion": "gated", "train": {"ensemble": []}},
    "low_rank alone": {"fusion": "low_rank", "train": {"ensemble": []}},
}


def main(words: list[str] | None = None) -> int:
    """The exit code: 1 where the mean misses its goal, or a table its baseline by more than a standard error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("step", choices=("choose", "measure"))
    parser.add_argument("--table", action="append", choices=tuple(TASKS), help="default: all five")
    parser.add_argument("--data", type=Path, help="folder with NAME/table.csv; without it, recipes build the tables")
    given = parser.parse_args(words)
    FOLDER.mkdir(exist_ok=True)
    for name in given.table or TASKS:
        if given.step == "choose" and name in SINGLE:
            continue
        if given.step == "choose":
            _choose(name, table_of(name, given.data))
            continue
        for seed in SEEDS:
            measure(name, "A", seed, given.data)
    return _judge() if given.step == "measure" else 0


def _choose(name: str, path: Path) -> None:
    """Compares the candidates on folds of the training rows; test rows are left alone."""
    measured = _log("choice.json").get("tables", {}).get(name, {}).get("accuracy", {})
    entries = {key: dict(value) for key, value in CANDIDATES.items() if key not in (*measured, _REFERENCE)}
    if _REFERENCE in measured and not entries:
        return
    comparison = pm.compare(
        path,
        config=config_of(name, CANDIDATES[_REFERENCE]),
        entries=entries,
        singles=False,
        ablations=False,
        on_message=lambda words: print(f"{name}: {words}", flush=True),
    )
    record = comparison.to_dict()
    for line in record["entries"]:
        if line["kind"] in ("reference", "own"):
            measured[_REFERENCE if line["kind"] == "reference" else line["name"]] = line["metrics"]["accuracy"]
    log = _log("choice.json")  # read again: another table may be compared beside this one
    measured = {key: measured[key] for key in CANDIDATES if key in measured}
    others = {key: of for key, of in log.get("tables", {}).items() if measured.keys() <= of["accuracy"].keys()}
    tables = {**others, name: {"rows": record["rows"], "folds": record["folds"], "accuracy": measured}}
    means = {key: statistics.mean(of["accuracy"][key]["value"] for of in tables.values()) for key in measured}
    chosen = max(means, key=lambda key: means[key])
    _write("choice.json", {"chosen": chosen, "means": means, "tables": tables})
    listed = ", ".join(f"{key} {accuracy['value']:.4f}" for key, accuracy in measured.items())
    print(f"{name}: {listed}", flush=True)


def _judge() -> int:
    """Prints mean and spread for each table that is complete, and whether the goals are reached."""
    log, means = recorded(), {}
    for name, task in TASKS.items():
        values = [log[key]["accuracy"]["value"] for seed in SEEDS if (key := f"{name} A {seed}") in log]
        if len(values) < len(SEEDS):
            print(f"{name}: {len(values)} of {len(SEEDS)} seeds")
            continue
        means[name] = statistics.mean(values)
        print(f"{name}: {means[name]:.4f}, deviation {statistics.stdev(values):.4f}; baseline {task.baseline:.3f}")
    low = [name for name, mean in means.items() if mean < TASKS[name].baseline - TASKS[name].standard_error]
    if len(means) < len(TASKS):
        return 1
    overall, goal = statistics.mean(means.values()), statistics.mean(t.baseline for t in TASKS.values()) + 0.02
    print(f"mean {overall:.4f} (goal {goal:.3f}); more than a standard error below its baseline: {low or 'none'}")
    return int(overall < goal or bool(low))


def _log(name: str) -> dict[str, Any]:
    file = FOLDER / name
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _write(name: str, log: Mapping[str, Any]) -> None:
    (FOLDER / name).write_text(json.dumps(log, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
