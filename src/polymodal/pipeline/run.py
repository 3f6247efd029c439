"""One run, from a table to a trained, evaluated model: this page is the whole way of the data."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from polymodal.config.run_config import RunConfig
from polymodal.models.budget import Budget
from polymodal.models.stage import with_estimators
from polymodal.pipeline.measure import Measurement
from polymodal.pipeline.outcome import Run, finished
from polymodal.pipeline.problem import resolve
from polymodal.pipeline.trainer import CallbackFactory, Trainer

__all__ = ["Run", "train"]


def train(
    source: object,
    config: RunConfig,
    *,
    make_callbacks: CallbackFactory | None = None,
    cache: Path | None = None,
    baselines: bool = True,
    estimators: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Run:
    """Trains a model on a table.

    Args:
        source: whatever `read_table` takes.
        config: at least `target`, or a task that has none; what it leaves open is chosen.
        make_callbacks: makes the callbacks of each training.
        cache: a folder in which decoded media, and the tokens of frozen encoders, are kept for later runs; without it
            they live in a temporary folder.
        baselines: also fit what the model has to beat; a comparison fits it once for all of its models.
        estimators: of scikit-learn, that the stage uses: by input (late), or by "" for the one on top of all
            (fuse_then_train). A model with one cannot be saved.
        clock: seconds, from any start, by which the budget of the configuration is kept.

    Raises:
        UsageError: the configuration does not fit the table or this installation.
        DataError: the table cannot be learned from.
        NonFiniteLossError: training diverged.
    """
    budget = Budget.of(config.budget, clock)
    with tempfile.TemporaryDirectory(prefix="polymodal-") as temporary:
        problem = resolve(source, with_estimators(config, estimators), folder=cache or Path(temporary))
        trainer = Trainer(problem, make_callbacks=make_callbacks, cache=cache, estimators=estimators, budget=budget)
        trained = trainer.run()
        results, measured = Measurement(problem, trained, full=baselines, budget=budget).results()
    return finished(problem, trained, results, measured, budget, whole=baselines)
