"""Tables that hold columns which say nothing, few rows, dead or doubled inputs: what fusion does with them.

    python benchmarks/cases.py                                   # every table and case, seed 0
    python benchmarks/cases.py --table avdigits --case B --seed 1
    python benchmarks/cases.py --table avdigits --case B --build FOLDER   # only writes FOLDER/table.csv

Each case is made from one of the five tables; media stay where they are.

    A        the table as it is
    B        12 texts of another table's words and 6 normal numbers beside its inputs, all drawn at random
    C        B, and of each input of the table a copy whose rows are shuffled
    D        150 training rows, drawn at random from each class in proportion
    E:INPUT  the rows of one input shuffled, as of a sensor that is dead;  no:INPUT: the table without it
    F        an exact copy of the best input

Results go to `cases/results.json`, one record for each table, case and seed; what is there already is kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from tables import TASKS, Task, config_of, table_of

from polymodal.config.run_config import make
from polymodal.metrics.classification import measure as measure_classes
from polymodal.pipeline.run import Run, train

RESULTS = Path(__file__).parent / "cases" / "results.json"
NUM_TEXTS, NUM_NUMBERS = 12, 6
FEW_ROWS = 150
WORDS = ("name", "tags", "name_fr", "name_de", "name_es")  # columns of `emoji`
ONE_INPUT = ("A", "D")  # cases of a table with one input


def main(words: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", action="append", choices=tuple(TASKS), help="default: all five")
    parser.add_argument("--case", action="append", help="A, B, C, D, E:INPUT, no:INPUT or F; default: all")
    parser.add_argument("--seed", type=int, action="append", help="default: 0")
    parser.add_argument("--data", type=Path, help="folder with NAME/table.csv; without it, recipes build the tables")
    parser.add_argument("--build", type=Path, help="write the table of one case into this folder, and train nothing")
    given = parser.parse_args(words)
    for name in given.table or TASKS:
        known = cases_of(TASKS[name])
        for case in given.case or known:
            if case not in known:
                sys.exit(f"{name} has no case {case!r}; it has {', '.join(known)}.")
            for seed in given.seed or (0,):
                if given.build:
                    print(write(name, case, seed, given.data, given.build))
                else:
                    measure(name, case, seed, given.data)
    return 0


def cases_of(task: Task) -> Sequence[str]:
    """The cases of a table; of one with a single input, those that need no other."""
    if len(task.inputs) == 1:
        return ONE_INPUT
    return ("A", "B", "C", "D", *(f"E:{name}" for name in task.inputs), *(f"no:{name}" for name in task.inputs), "F")


def measure(name: str, case: str, seed: int, data: Path | None) -> None:
    """Trains with the defaults, as a user would; records accuracy on the test rows and seconds of the processor."""
    key = f"{name} {case} {seed}"
    if key in recorded():
        return
    with tempfile.TemporaryDirectory() as folder:
        table = write(name, case, seed, data, Path(folder))
        before, started = time.process_time(), time.perf_counter()
        run = train(table, make({**config_of(name, {}), "seed": seed}))
        seconds, waited = time.process_time() - before, time.perf_counter() - started
    record = {**_figures(run), "cpu_seconds": round(seconds), "seconds": round(waited)}
    log = recorded()  # read again: another table may be measured beside this one
    log[key] = record
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(log, indent=2) + "\n", encoding="utf-8")
    shown = ", ".join(f"{name} {record[name]:.3f}" for name in ("linear", "best_single", "ece", "ece_by_chance"))
    print(f"{key}: {record['accuracy']['value']:.4f} in {seconds:.0f} s of CPU; {shown}", flush=True)


def _figures(run: Run) -> dict[str, Any]:
    """What a run reached on its test rows, what it had to beat, and what it said of its inputs.

    `best_single` is the best accuracy with one input alone, of the model or of a linear one. `ece_by_chance` is the
    95th percentile of the calibration error where labels are drawn from the model's own probabilities.
    """
    metrics, measured = run.bundle.metrics, run.measured
    assert measured is not None, "the tables have test rows"
    subsets = () if metrics.subsets is None else metrics.subsets.subsets
    alone = [one.metrics["accuracy"].value for one in subsets if len(one.inputs) == 1]
    alone += [report["accuracy"].value for report in metrics.baselines.linear_by_input.values()]
    logits = measured.prediction.values.double()
    return {
        "accuracy": asdict(metrics.test["accuracy"]),
        "linear": metrics.baselines.reports["linear"]["accuracy"].value,
        "linear_low": metrics.baselines.reports["linear"]["accuracy"].low,
        "best_single": max(alone),
        "ece": metrics.test["ece"].value,
        "ece_by_chance": _by_chance(logits.softmax(dim=1).numpy()),
        "left_out": sorted(name for name, test in metrics.input_tests.items() if not test.useful),
        "ensemble": {name: round(weight, 3) for name, weight in metrics.ensemble.items()},
    }


def _by_chance(probabilities: np.ndarray) -> float:
    """The 95th percentile of the expected calibration error of a model that is calibrated."""
    rng, found = np.random.default_rng(0), []
    for _ in range(200):
        drawn = (probabilities.cumsum(axis=1) > rng.random((len(probabilities), 1))).argmax(axis=1)
        weights = np.ones((1, len(drawn)))
        found.append(float(measure_classes(np.log(probabilities.clip(1e-30)), drawn, weights)["ece"][0]))
    return float(np.percentile(found, 95))


def write(name: str, case: str, seed: int, data: Path | None, folder: Path) -> Path:
    """Writes the table of a case.

    Args:
        name: of the table.
        case: one of `cases_of`.
        seed: of what is drawn.
        data: folder with NAME/table.csv; None: recipes build the tables.
        folder: where `table.csv` goes; its media stay where they are.

    Returns:
        The file.
    """
    task, source = TASKS[name], table_of(name, data)
    table = pd.read_csv(source, dtype=str, keep_default_na=False)
    for column in task.media:
        table[column] = [path and str((source.parent / path).resolve()) for path in table[column]]
    rng = np.random.default_rng([seed, len(table)])
    if case in ("B", "C"):
        table = table.assign(**_noise(len(table), table_of("emoji", data), rng))
    if case == "C":
        table = table.assign(**{f"shuffled_{column}": rng.permutation(table[column]) for column in task.inputs})
    elif case == "D":
        table = _few(table, task.target, seed)
    elif case.startswith("E:"):
        table[case[2:]] = rng.permutation(table[case[2:]])
    elif case.startswith("no:"):
        table = table.drop(columns=case[3:])
    elif case == "F":
        table[f"copy_{task.best}"] = table[task.best]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    return path


def _noise(num_rows: int, emoji: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Real words in an order that says nothing, and normal numbers."""
    words = pd.read_csv(emoji, dtype=str, keep_default_na=False)
    columns: dict[str, Any] = {}
    for number in range(NUM_TEXTS):
        texts = words[WORDS[number % len(WORDS)]].to_numpy()
        columns[f"noise_text_{number}"] = rng.choice(texts, size=num_rows, replace=num_rows > len(texts))
    for number in range(NUM_NUMBERS):
        columns[f"noise_number_{number}"] = rng.normal(size=num_rows).round(6)
    return columns


def _few(table: pd.DataFrame, target: str, seed: int) -> pd.DataFrame:
    """All rows that are not for training, and few that are."""
    training = table[table["split"] == "train"]
    kept, _ = train_test_split(training, train_size=FEW_ROWS, stratify=training[target], random_state=seed)
    return pd.concat([kept, table[table["split"] != "train"]])


def recorded() -> dict[str, Any]:
    """What was measured so far: by table, case and seed."""
    return dict(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
