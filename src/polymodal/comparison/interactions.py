"""Whether a trained model uses interactions of its inputs: it is measured beside its additive projection (EMAP)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from polymodal.abilities import Scoring
from polymodal.data.cells.dataset import Dataset
from polymodal.data.cells.prepare import modality_of, prepare
from polymodal.device import pick_device
from polymodal.evaluation import emap
from polymodal.inference.forward import loader_for
from polymodal.metrics.rows import RowStatistics
from polymodal.metrics.significance import Scored
from polymodal.models.stage import reads_tokens
from polymodal.pipeline.run import Run
from polymodal.protocols import Prediction

_BATCH_ROWS = 64  # no result depends on it


@dataclass(frozen=True)
class ScoredProjection:
    """What one training and its additive projection say of the same test rows, a sample of them."""

    model: Scored
    additive: Scored


def score_projection(run: Run, *, cache: Path, repeat: int) -> ScoredProjection | None:
    """Predicts some test rows by the model and by its additive projection.

    None of a single input, of many, of few rows, where tokens are so many that it would take minutes, and for tasks
    that do not give scores.
    """
    bundle, measured = run.bundle, run.measured
    network, task, config = bundle.model, bundle.task, bundle.config
    if measured is None or not 1 < len(network.columns) <= emap.MOST_INPUTS or not isinstance(task, Scoring):
        return None
    target = measured.target
    assert target is not None, "a task that gives scores has a target"
    known = np.flatnonzero(target.present.numpy())
    places = np.sort(np.random.default_rng(config.seed).permutation(known)[: emap.MOST_ROWS])
    if len(places) < emap.FEWEST_ROWS:
        return None
    columns = bundle.schema.features()
    prepared = prepare(run.table, columns, limits=config.limits, bad_cells="missing", cache=cache)
    dataset = Dataset(prepared, {column.name: modality_of(column) for column in columns})
    found = emap.project(
        network,
        loader_for(network, dataset, measured.rows[places], batch_size=_BATCH_ROWS),
        pick_device(config.device),
        attends=reads_tokens(config.fusion.name) or config.stage.name == "early",
    )
    if found is None:
        return None
    places = places[found.places.numpy()]
    truth, rows = target.rows(torch.from_numpy(places)), measured.rows[places]

    def scored(prediction: Prediction) -> Scored:
        statistics = RowStatistics.of(task, prediction, truth, rows)
        return Scored(statistics.rows, statistics.metrics, statistics.size, repeat)

    return ScoredProjection(scored(found.model), scored(found.additive))
