"""One training of one entry, or the baselines, on one fold: what they say of the rows that they did not see."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from polymodal import registry
from polymodal.bundle import Bundle
from polymodal.config import Part, RunConfig, SplitConfig, completed, part_settings
from polymodal.data.clean import clean_rows, with_policies
from polymodal.data.infer import infer_columns
from polymodal.data.prepare import fit_statistics, modality_of, prepare
from polymodal.data.split import split_rows
from polymodal.data.suggest import suggest_settings
from polymodal.data.table import Table
from polymodal.defaults import complete_inputs
from polymodal.evaluation.baselines import Guess, guess
from polymodal.metrics.bootstrap import metrics_of
from polymodal.metrics.significance import Scored, known
from polymodal.model import Model
from polymodal.predict import predict
from polymodal.run import Run, train
from polymodal.task_choice import choose_task, fit_target, target_values
from polymodal.trainer import Watch
from polymodal.types import Head

_TIMED_ROWS, _WARM_ROWS = 15, 3


@dataclass(frozen=True)
class Fold:
    """One division of the rows.

    Attributes:
        table: all rows that are compared, the same in every fold.
        split: which of them are for test.
        drop: columns that only say how rows are divided.
        repeat: number of the repeat, from 0; it moves the seed.
        number: of the fold, from 0.
    """

    table: Table
    split: SplitConfig
    drop: tuple[str, ...]
    repeat: int
    number: int

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
    """

    scored: Scored
    train_rows: int
    unknown: int
    seconds: float
    parameters: int | None
    latency: float | None
    unread: tuple[str, ...] = ()


def unread(trials: Iterable[Trial]) -> tuple[str, ...]:
    """A sentence on the cells that could not be read in any of the trainings; none where all could."""
    cells = list(dict.fromkeys(cell for trial in trials for cell in trial.unread))
    if not cells:
        return ()
    count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    return (f"{count} could not be read (bad_cells says what becomes of them). The first: {cells[0]}.",)


def run_trial(config: RunConfig, fold: Fold, *, cache: Path, watch: Watch, timed: bool) -> Trial:
    """Trains and measures one entry.

    Args:
        config: of the entry.
        fold: on which rows.
        cache: keeps decoded media and the tokens of frozen encoders.
        watch: makes the callbacks of each training.
        timed: also measure how long one row takes.

    Raises:
        KeyboardInterrupt: Ctrl-C, also where the training ended in order.
        PolymodalError: as `run.train`.
    """
    start = time.monotonic()
    run = train(fold.table, fold.config(config), watch=watch, cache=cache, baselines=False)
    if run.history.interrupted:
        raise KeyboardInterrupt
    seconds = time.monotonic() - start
    assert run.measured is not None and run.measured.side == "test", "every fold has test rows"
    model = cast(Model, run.bundle.model)
    scored = known(
        Scored(run.measured.rows, run.measured.scores, run.measured.target, metrics_of(model.head), fold.repeat)
    )
    return Trial(
        scored=scored,
        train_rows=len(run.split.train) + len(run.split.validation),
        unknown=len(run.measured.rows) - len(scored.rows),
        seconds=seconds,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        latency=_latency(run) if timed else None,
        unread=tuple(f"{fold.table.where(cell.row)}, column {cell.column!r}: {cell.reason}" for cell in run.rejects),
    )


def run_baselines(config: RunConfig, fold: Fold, *, cache: Path) -> dict[str, Trial]:
    """What has to be beaten, by name: a constant, and linear models on simple features. Reads the media first of all.

    They learn from the validation rows too: nothing of theirs has to be stopped.
    """
    config, table = fold.config(config), fold.table
    columns = with_policies(infer_columns(table, config), config.clean)
    values = target_values(table, config)
    task = choose_task(values, config)
    head: type[Head] = registry.load("tasks", task.name or "")
    config = config.model_copy(update={"task": completed("tasks", task)})
    split = split_rows(table, config.split, target=values, stratify=head.stratified, seed=config.seed)
    columns, inputs = complete_inputs(
        columns, config, num_rows=len(split.train), suggested=suggest_settings(table, columns, config.limits)
    )
    prepared = prepare(table, columns, limits=config.limits, bad_cells=config.bad_cells, cache=cache)
    split, _ = clean_rows(columns, prepared, values, split, config.clean)
    start = time.monotonic()
    target = fit_target(config, [values[row] for row in split.train])
    fitted = {c.name: modality_of(c) for c in fit_statistics(columns, prepared, split.train) if c.modality is not None}
    settings = part_settings("tasks", Part(name=target.task, **target.settings))
    rows = np.sort(np.concatenate([split.train, split.validation]))
    found = guess(
        registry.load("tasks", target.task)(settings, width=1, statistics=target.statistics),
        prepared,
        inputs={of_input.name: {name: fitted[name] for name in of_input.columns} for of_input in inputs},
        target=np.asarray(head.encode_target(values, target.statistics)),
        train=rows,
        test=split.test,
        seed=config.seed,
    )
    seconds = time.monotonic() - start
    return {
        name: Trial(
            Scored(one.rows, one.scores, one.target, one.function, fold.repeat),
            train_rows=len(rows),
            unknown=len(split.test) - len(one.rows),
            seconds=seconds,
            parameters=None,
            latency=None,
        )
        for name, one in found.items()
        if isinstance(one, Guess)
    }


def _latency(run: Run) -> float:
    """Seconds from a row to its prediction, files included: the median over some test rows, less the first few."""
    bundle: Bundle = run.bundle
    rows = run.split.test[np.linspace(0, len(run.split.test) - 1, _WARM_ROWS + _TIMED_ROWS, dtype=int)]
    table, times = run.table, []
    for row in rows:
        one = table.take(np.array([row]))
        start = time.perf_counter()
        predict(bundle, one, batch_size=1, device=bundle.config.device)
        times.append(time.perf_counter() - start)
    return float(np.median(times[_WARM_ROWS:]))
