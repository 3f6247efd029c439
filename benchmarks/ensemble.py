"""What each kind of members adds to the ensemble, on three folds of the training rows of the five tables.

    python benchmarks/ensemble.py [--table NAME] [--rows 150] [--fold N] [--data DIR]

Trains once a fold with the defaults, and weighs subsets of the members as training does. Test rows of the tables are
not used. Writes `ensemble.json`; what is there already is kept. `--rows` draws so many training rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedKFold, train_test_split
from tables import TASKS, config_of, table_of
from torch.nn import functional

from polymodal.config.run_config import make
from polymodal.layers.opinion_pool import normalised, pool
from polymodal.models.ensemble import Ensemble
from polymodal.pipeline.problem import resolve
from polymodal.pipeline.trainer import Trainer
from polymodal.stages._ensemble_weights import Evidence, learn_weights
from polymodal.stages._feature_members import evidence_of, out_of_fold, predictions

RESULTS = Path(__file__).with_suffix(".json")
FOLDS, FEWEST_ROWS = 3, 50  # as in training: with fewer validation rows, folds of the training rows count, too
CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "all": ("joint", "unimodal", "linear", "gradient_boosting"),
    "no trees": ("joint", "unimodal", "linear"),
    "no linear models": ("joint", "unimodal", "gradient_boosting"),
    "no unimodal heads": ("joint", "linear", "gradient_boosting"),
    "network alone": ("joint", "unimodal"),
    "joint alone": ("joint",),
    "no network": ("linear", "gradient_boosting"),
}


def main(words: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", action="append", choices=tuple(TASKS), help="default: all five")
    parser.add_argument("--rows", type=int, help="training rows; default: all")
    parser.add_argument("--fold", type=int, action="append", choices=range(FOLDS), help="default: all")
    parser.add_argument("--data", type=Path, help="folder with NAME/table.csv; without it, recipes build the tables")
    given = parser.parse_args(words)
    for name in given.table or TASKS:
        for fold in given.fold or range(FOLDS):
            key = f"{name}, {given.rows or 'all'} rows, fold {fold}"
            if key not in _log():
                found = _measured(name, fold, given.rows, given.data)
                RESULTS.write_text(json.dumps({**_log(), key: found}, indent=2) + "\n", encoding="utf-8")
                print(key, found, flush=True)
    log = _log()
    for candidate in CANDIDATES if log else ():
        accuracy, loss = (
            statistics.mean(record[candidate][key] for record in log.values()) for key in ("accuracy", "log_loss")
        )
        print(f"{candidate:20} accuracy {accuracy:.4f}, log loss {loss:.4f}")
    return 0


def _measured(name: str, fold: int, num_rows: int | None, data: Path | None) -> dict[str, Any]:
    """Accuracy and log loss of each candidate on one fold, which is the test side of a run."""
    with tempfile.TemporaryDirectory() as folder:
        path = _fold(name, fold, num_rows, data, Path(folder))
        problem = resolve(
            path, make({**config_of(name, {}), "train": {"final": "best"}, "seed": fold}), folder=Path(folder)
        )
        fitter = Trainer(problem)
        network = fitter.run().first.network
        assert isinstance(network, Ensemble), "the default"
        split, known = problem.split, problem.dataset.known
        validation, test = known(split.validation), known(split.test)
        evidence = [evidence_of(fitter, network, predictions(fitter, network, validation), validation)]
        if len(validation) < FEWEST_ROWS:
            evidence.append(evidence_of(fitter, network, *out_of_fold(fitter, network, split.train)))
        measured = evidence_of(fitter, network, predictions(fitter, network, test), test)
        return {key: _scored(network, evidence, measured, kinds) for key, kinds in CANDIDATES.items()}


def _scored(network: Ensemble, evidence: list[Evidence], test: Evidence, kinds: tuple[str, ...]) -> dict[str, float]:
    """What an ensemble of some kinds of members reaches on the test rows."""
    places = [place for place, name in enumerate(network.names) if name.partition(":")[0] in kinds]
    prior = network.prior()[places]
    some = [replace(one, values=one.values[places], present=one.present[places]) for one in (*evidence, test)]
    found = learn_weights(some[:-1], prior / prior.sum(), network.meaning)
    values = normalised(some[-1].values / found.temperatures.view(-1, 1, 1), network.meaning)
    scores = pool(values, some[-1].present, found.members) / found.temperature
    truth = test.target.values[:, 0]
    return {
        "accuracy": float((scores.argmax(dim=1) == truth).double().mean()),
        "log_loss": float(functional.cross_entropy(scores, truth)),
    }


def _fold(name: str, fold: int, num_rows: int | None, data: Path | None, folder: Path) -> Path:
    """The table of one fold: its training rows alone, a third of which are called test."""
    task, source = TASKS[name], table_of(name, data)
    table = pd.read_csv(source, dtype=str, keep_default_na=False)
    table = table[table["split"] == "train"].reset_index(drop=True)
    for column in task.media:
        table[column] = [path and str((source.parent / path).resolve()) for path in table[column]]
    target = table[task.target]
    train, test = list(StratifiedKFold(FOLDS, shuffle=True, random_state=7).split(table, target))[fold]
    if num_rows is not None:
        train, _ = train_test_split(train, train_size=num_rows, stratify=target[train], random_state=fold)
    table["split"] = np.where(np.isin(np.arange(len(table)), test), "test", "train")
    table = table.iloc[np.sort(np.concatenate([train, test]))]
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    return path


def _log() -> dict[str, Any]:
    return dict(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.exists() else {}


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
