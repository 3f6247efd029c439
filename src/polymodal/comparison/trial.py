"""One training of one entry, or the baselines, on one fold: what they say of the rows that they did not see."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from polymodal.comparison.interactions import ScoredProjection, score_projection
from polymodal.config.run_config import RunConfig, SplitConfig
from polymodal.data.tables.table import Table
from polymodal.evaluation.baselines import predict_baselines
from polymodal.inference.predictor import Predictor
from polymodal.metrics.rows import RowStatistics
from polymodal.metrics.significance import Scored
from polymodal.pipeline.problem import resolve
from polymodal.pipeline.run import Run, train
from polymodal.pipeline.trainer import CallbackFactory

_TIMED_ROWS, _WARM_ROWS = 15, 3


@dataclass(frozen=True)
class Fold:
    """One division of the rows.

    Attributes:
        table: all rows that are compared, the same in every fold.
        split: which of them are for test.
        drop: columns that only say how rows are divided.
        repeat: number of the repeat, from 0; it moves the seed.
    """

    table: Table
    split: SplitConfig
    drop: tuple[str, ...]
    repeat: int

    def config(self, config: RunConfig) -> RunConfig:
        """A configuration for this fold."""
        drop = tuple(dict.fromkeys([*config.drop, *self.drop]))
        return config.model_copy(update={"split": self.split, "drop": drop, "seed": config.seed + self.repeat})


@dataclass(frozen=True)
class Trial:
    """What came of one training.

    Attributes:
        scored: the test rows; of each the target is known.
        train_rows: learned from, with those to stop early on.
        unknown: test rows that are not measured: their class is not among the training rows.
        seconds: from the table, whose media are decoded already, to the figures.
        parameters: of the model; None of a baseline.
        latency: seconds to predict one row, the median; None where it was not measured.
        unread: cells that could not be read, in words: where, and why.
        projection: the model beside its additive projection; None where it was not asked for, or makes no sense.
        by_input: of the baseline `linear`: linear models of each input by itself.
    """

    scored: Scored
    train_rows: int
    unknown: int
    seconds: float
    parameters: int | None = None
    latency: float | None = None
    unread: tuple[str, ...] = ()
    projection: ScoredProjection | None = None
    by_input: Mapping[str, Scored] = field(default_factory=dict)


def num_measured(trials: Iterable[Trial]) -> int:
    """How many rows of the table were measured in any of the trainings."""
    return len({row for trial in trials for row in trial.scored.rows.tolist()})


def unread(trials: Iterable[Trial]) -> tuple[str, ...]:
    """A sentence on the cells that could not be read in any of the trainings; none where all could."""
    cells = list(dict.fromkeys(cell for trial in trials for cell in trial.unread))
    if not cells:
        return ()
    count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    return (f"{count} could not be read (bad_cells says what becomes of them). The first: {cells[0]}.",)


def run_trial(
    config: RunConfig,
    fold: Fold,
    *,
    cache: Path,
    make_callbacks: CallbackFactory,
    timed: bool = False,
    projected: bool = False,
) -> Trial:
    """Trains and measures one entry; `timed`: and how long one row takes; `projected`: and its additive projection.

    Raises:
        KeyboardInterrupt: Ctrl-C, also where the training ended in order.
        PolymodalError: as `run.train`.
    """
    start = time.monotonic()
    run = train(fold.table, fold.config(config), make_callbacks=make_callbacks, cache=cache, baselines=False)
    if run.history.interrupted:
        raise KeyboardInterrupt
    seconds = time.monotonic() - start
    assert run.measured is not None and run.measured.side == "test", "every fold has test rows"
    found = run.measured.statistics(run.bundle.task)
    return Trial(
        Scored(found.rows, found.metrics, found.size, fold.repeat),
        train_rows=len(run.split.train) + len(run.split.validation),
        unknown=len(run.measured.rows) - len(found),
        seconds=seconds,
        parameters=sum(parameter.numel() for parameter in run.bundle.model.parameters()),
        latency=_latency(run) if timed else None,
        unread=tuple(f"{fold.table.where(cell.row)}, column {cell.column!r}: {cell.reason}" for cell in run.rejects),
        projection=score_projection(run, cache=cache, repeat=fold.repeat) if projected else None,
    )


def run_baselines(config: RunConfig, fold: Fold, *, cache: Path) -> dict[str, Trial]:
    """Baselines by name: a constant, and simple models on handcrafted features. Reads the media first of all.

    They learn from the validation rows too: nothing of theirs has to be stopped.
    """
    problem = resolve(fold.table, fold.config(config), folder=cache)
    start = time.monotonic()
    split = problem.split
    rows = np.sort(np.concatenate([split.train, split.validation]))
    found = predict_baselines(
        problem.task,
        problem.dataset,
        inputs={model_input.name: model_input.columns for model_input in problem.schema.inputs},
        train=rows,
        test=split.test,
        seed=problem.config.seed,
    )
    seconds = time.monotonic() - start
    alone = found.get("linear_by_input")
    by_input = {} if alone is None or isinstance(alone, RowStatistics) else alone
    scored = {name: Scored(one.rows, one.metrics, one.size, fold.repeat) for name, one in by_input.items()}
    return {
        name.replace("_", " "): Trial(
            Scored(one.rows, one.metrics, one.size, fold.repeat),
            train_rows=len(rows),
            unknown=len(split.test) - len(one),
            seconds=seconds,
            by_input=scored if name == "linear" else {},
        )
        for name, one in found.items()
        if isinstance(one, RowStatistics)
    }


def _latency(run: Run) -> float:
    """Seconds from a row to its prediction, files included: the median over some test rows, less the first few."""
    predictor = Predictor(run.bundle, run.bundle.config.device)
    rows = run.split.test[np.linspace(0, len(run.split.test) - 1, _WARM_ROWS + _TIMED_ROWS, dtype=int)]
    table, times = run.table, []
    for row in rows:
        one = table.take(np.array([row]))
        start = time.perf_counter()
        predictor(one, batch_size=1)
        times.append(time.perf_counter() - start)
    return float(np.median(times[_WARM_ROWS:]))
