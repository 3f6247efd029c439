"""What a run leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from polymodal.bundle_members.row_hashes import NAME, RowHashes
from polymodal.bundles.bundle import Bundle
from polymodal.bundles.card import model_card
from polymodal.data.cells.clean import Action
from polymodal.data.cells.prepare import Reject
from polymodal.data.split.split import Split
from polymodal.data.tables.table import Table
from polymodal.evaluation.evaluate import EvaluatedRows
from polymodal.metrics.history import History, merged
from polymodal.metrics.results import Results
from polymodal.models.budget import Budget
from polymodal.pipeline.problem import Problem
from polymodal.pipeline.trainer import Trained


@dataclass(frozen=True)
class Run:
    """What a run leaves.

    Attributes:
        bundle: the trained model; its `config` is complete, so that running it again gives the same numbers.
        history: of the training with validation rows; where inputs or networks learn by themselves, of all, one after
            the other.
        rejects: cells that could not be read.
        split: row numbers of each side.
        notes: on cells that were read, but not as they stand, such as "sound: 12 cells cut to 30 s"; the alerts of
            the results, which go before them, are not among them.
        measured: what the figures of the final model are about; None without rows to measure on.
        refit: history of the last training, on all rows but test; None where there was none.
        seconds: from the table to the figures.
        cpu_seconds: of all threads and processes in that time.
        table: what was learned from, by whose rows all of the above count.
        cleaned: what `clean` changed.
        branches: by input, or network of a deep ensemble, the history of its own training, where each learns by itself.
    """

    bundle: Bundle
    history: History
    rejects: tuple[Reject, ...]
    split: Split
    notes: tuple[str, ...]
    measured: EvaluatedRows | None
    refit: History | None
    seconds: float
    cpu_seconds: float
    table: Table
    cleaned: tuple[Action, ...]
    branches: Mapping[str, History]


def finished(
    problem: Problem,
    trained: Trained,
    results: Results,
    measured: EvaluatedRows | None,
    budget: Budget,
    *,
    whole: bool,
) -> Run:
    """What a run leaves, from what its steps gave; `whole`: also what the bundle of the model holds beside it."""
    branches = {phase.partition(":")[2]: one for phase, one in trained.histories.items() if phase.startswith("train:")}
    members = {NAME: _row_hashes(problem)} if whole and problem.config.bundle.row_hashes else {}
    card = model_card(problem.schema, problem.config, results)
    return Run(
        bundle=Bundle(trained.final.network, problem.schema, problem.config, results, card, members),
        history=merged(trained.histories.values()),
        rejects=problem.rejects,
        split=problem.split,
        notes=results.notes,
        measured=measured,
        refit=trained.refit,
        seconds=budget.spent,
        cpu_seconds=budget.cpu_spent,
        table=problem.table,
        cleaned=problem.cleaned,
        branches=branches,
    )


def _row_hashes(problem: Problem) -> RowHashes:
    """Of the training rows, and of the validation rows, by which the model was chosen at least."""
    dataset, split = problem.dataset, problem.split
    rows = np.concatenate([split.train, split.validation])
    targets = None if dataset.targets is None else dataset.targets.arrays(rows)
    columns = [column.name for column in problem.schema.features()]
    hashes = RowHashes.none()
    return hashes.with_rows(hashes.hash(dataset, columns, rows, targets))
