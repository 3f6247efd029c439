"""Encoders, fusion and head that learn together, with one loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from polymodal.layers.auxiliary import AuxiliaryHeads
from polymodal.metrics.bootstrap import metrics_of
from polymodal.metrics.direction import larger_is_better
from polymodal.metrics.significance import Scored, difference, resampled
from polymodal.model import Model
from polymodal.timing import Learned, Parts, Training

_VOTE = 0.5
"""What the inputs say by themselves counts for half, unless the user or the validation rows say otherwise."""

_FEWEST_ROWS, _MOST_ROWS = 30, 5_000  # to tell whether it does harm


def joint(parts: Parts, fusion: nn.Module, *, width: int) -> Model:
    """Encoders, a fusion of that width and a head, with what `train` says of auxiliary heads and hidden inputs."""
    settings = parts.config.train
    auxiliary = _auxiliary_heads(parts) if settings.auxiliary_loss else None
    return Model(
        parts.encoders,
        parts.columns,
        fusion,  # type: ignore[arg-type]  # a Fusion, or one with layers after it
        parts.head(width),
        auxiliary=auxiliary,
        modality_dropout=settings.modality_dropout or 0.0,
    )


def _auxiliary_heads(parts: Parts) -> AuxiliaryHeads:
    settings, widths = parts.config.train, parts.widths
    vote = settings.auxiliary_vote
    if vote is None:
        vote = _VOTE if len(widths) > 1 else 0.0
    return AuxiliaryHeads(
        {name: parts.head(width) for name, width in widths.items()},
        loss=settings.auxiliary_loss or 0.0,
        vote=vote,
        learned=settings.auxiliary_blend == "learned",
    )


def learn_jointly(trainer: Training, rows: np.ndarray, validation: np.ndarray, before: Learned | None) -> Learned:
    """Trains the whole model at once, then chooses what share its inputs have by themselves, where that is open."""
    model = trainer.build()
    own = model.auxiliary
    if before is not None:
        history = trainer.fit(model, rows, None, phase="refit", epochs=before.histories["train"].best_epoch)
        if own is not None and before.model.auxiliary is not None:
            own.vote.copy_(before.model.auxiliary.vote)
        return Learned(model, {"refit": history})
    history = trainer.fit(model, rows, validation, phase="train")
    if (
        own is not None
        and own.votes
        and trainer.config.train.auxiliary_vote is None
        and len(validation) >= _FEWEST_ROWS
    ):
        own.vote.fill_(0.0 if _fusion_is_better_alone(trainer, model, own.vote, validation) else _VOTE)
    return Learned(model, {"train": history})


def _fusion_is_better_alone(trainer: Training, model: Model, vote: Tensor, rows: np.ndarray) -> bool:
    """Whether the inputs' own votes do harm, by the task's first metric, on rows that nobody learned from.

    The 95 % interval of the paired bootstrap must say so: few rows carry no choice.
    """
    rows = np.random.default_rng(trainer.config.seed).permutation(rows)[:_MOST_ROWS]
    tokens = trainer.tokens(model, rows)
    model.cpu()
    measured = []
    for share in (0.0, _VOTE):
        vote.fill_(share)
        with torch.inference_mode():
            scores = model.combine(tokens).scores.numpy()
        scored = Scored(np.arange(len(rows)), scores, trainer.target[rows], metrics_of(model.head))
        measured.append(resampled([scored], scored.rows, samples=400, seed=trainer.config.seed))
    name = model.head.metric
    alone, mixed = (of_share.get(name) for of_share in measured)
    if alone is None or mixed is None:  # undefined, such as a correlation of two rows
        return False
    better = larger_is_better(name)
    found = difference(alone, mixed, larger_is_better=better, test_share=0.0, trainings=False)
    return found.interval.low > 0
