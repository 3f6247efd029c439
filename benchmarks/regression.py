"""Numbers predicted from numbers and categories: the defaults beside ridge regression and boosted trees, by folds.

    python benchmarks/regression.py [--repeats 5] [--babies FILE]

`load_diabetes` (442 rows) and Friedman's first problem (1,000 rows) of scikit-learn; of `babies.csv`, a table of prices
that has to be there, all columns but texts. Prints R2 and writes `regression.json`. The goal: at most .02 below the
better of the two.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from goal import Goal
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from polymodal.config.run_config import make
from polymodal.inference.predictor import predict
from polymodal.pipeline.run import train

RESULTS = Path(__file__).with_suffix(".json")
FOLDS, BELOW = 5, 0.02
BABIES = ("price", "is_discounted", "category", "company_struct", "weight", "fabrics", "materials")


def main(words: list[str] | None = None) -> int:
    """The exit code: 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--babies", type=Path, help="babies.csv, whose texts are left out")
    given = parser.parse_args(words)
    tables = {"diabetes": load_diabetes(as_frame=True).frame, "friedman1": _friedman()}
    if given.babies:
        tables["babies"] = pd.read_csv(given.babies)[list(BABIES)].rename(columns={"price": "target"})
    goals = [_measured(name, table, given.repeats) for name, table in tables.items()]
    RESULTS.write_text(json.dumps([goal.record() for goal in goals], indent=2) + "\n", encoding="utf-8")
    for goal in goals:
        print(goal)
    return int(not all(goal.passed for goal in goals))


def _friedman() -> pd.DataFrame:
    features, target = make_friedman1(1_000, noise=1.0, random_state=0)
    table = pd.DataFrame(features, columns=[f"x{place}" for place in range(features.shape[1])])
    return table.assign(target=target)


def _measured(name: str, table: pd.DataFrame, repeats: int) -> Goal:
    found: dict[str, list[float]] = {"polymodal": [], "ridge": [], "gradient boosting": []}
    for repeat in range(repeats):
        for rows, test in KFold(FOLDS, shuffle=True, random_state=repeat).split(table):
            learned, held_out = table.iloc[rows], table.iloc[test]
            features, target = learned.drop(columns="target"), learned["target"]
            asked, truth = held_out.drop(columns="target"), held_out["target"]
            bundle = train(learned, make({"target": "target", "split": {"test": 0}, "seed": repeat})).bundle
            predictions = {
                "polymodal": predict(bundle, asked).columns["prediction"],
                **{key: model.fit(features, target).predict(asked) for key, model in _references(features).items()},
            }
            for key, predicted in predictions.items():
                found[key].append(float(r2_score(truth, predicted)))
        print(name, repeat, {key: round(statistics.mean(values), 4) for key, values in found.items()}, flush=True)
    means = {key: statistics.mean(values) for key, values in found.items()}
    bound = max(means["ridge"], means["gradient boosting"]) - BELOW
    return Goal(f"R2, {name}", means["polymodal"], bound, "", at_most=False, detail=means)


def _references(features: pd.DataFrame) -> dict[str, Any]:
    """Ridge regression on one-hot categories and standardised numbers, and trees, both by scikit-learn."""
    words = [name for name in features if features[name].dtype.kind not in "iuf"]
    numbers = [name for name in features if name not in words]
    scaled = make_pipeline(SimpleImputer(), StandardScaler())
    one_hot = make_column_transformer((scaled, numbers), (OneHotEncoder(handle_unknown="ignore"), words))
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    coded = make_column_transformer(("passthrough", numbers), (codes, words))
    return {
        "ridge": make_pipeline(one_hot, RidgeCV(np.logspace(-2, 4, 13))),
        "gradient boosting": make_pipeline(coded, HistGradientBoostingRegressor(random_state=0)),
    }


if __name__ == "__main__":
    sys.exit(main())
