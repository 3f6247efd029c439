"""Comparisons that take little time."""

from functools import partial

import numpy as np
import pytest

from polymodal.comparison import analysis
from polymodal.comparison import compare as comparing
from polymodal.comparison import trial as trials
from polymodal.metrics import classification
from polymodal.metrics.significance import Scored


@pytest.fixture
def hurry(monkeypatch):
    """How long a row takes is measured once only, for `found`; a few drawings of rows will do."""
    monkeypatch.setattr(trials, "_latency", lambda run: 0.01)
    monkeypatch.setattr(analysis, "_MOST_SAMPLES", 300)


@pytest.fixture
def untrained(monkeypatch):
    """Trials that cost nothing, each of them noted: a model is right by the share of the bits that its inputs tell."""
    seen = []

    def guess(config, fold, *, cache, make_callbacks, timed, projected):
        seen.append((config, fold))
        rows = np.flatnonzero(np.array(fold.table.values(fold.split.column)) == "test")
        target = np.unique(fold.table.values("label"), return_inverse=True)[1][rows]
        told = sum(name not in config.drop for name in ("size", "note"))
        right = np.random.default_rng(rows.sum()).random(len(rows)) < (0.25, 0.5, 0.95)[told]
        scores = np.where(np.eye(4, dtype=bool)[np.where(right, target, (target + 1) % 4)], -0.1, -3.0)
        scored = Scored(rows, partial(classification.measure, scores, target), scores.size, fold.repeat)
        return trials.Trial(scored, fold.table.num_rows - len(rows), 0, 0.1, 100, 0.01 if timed else None)

    monkeypatch.setattr(comparing, "run_trial", guess)
    return seen
