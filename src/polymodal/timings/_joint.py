"""Encoders, fusion and head that learn together, with one loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from polymodal.layers.auxiliary import AuxiliaryHeads
from polymodal.metrics.bootstrap import metrics_of
from polymodal.metrics.direction import larger_is_better
from polymodal.metrics.significance import Scored, difference, resampled
from polymodal.metrics.temperature import best_temperature
from polymodal.model import Model
from polymodal.timing import Learned, Parts, Training
from polymodal.types import Head

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
    """Trains the whole model at once; validation rows then say whether inputs vote, and how sure to be."""
    model = trainer.build()
    if before is not None:
        history = trainer.fit(model, rows, None, phase="refit", epochs=before.histories["train"].best_epoch)
        model.temperature.value.copy_(before.model.temperature.value)
        if model.auxiliary is not None and before.model.auxiliary is not None:
            model.auxiliary.vote.copy_(before.model.auxiliary.vote)
        return Learned(model, {"refit": history})
    history = trainer.fit(model, rows, validation, phase="train")
    if len(validation) >= _FEWEST_ROWS:
        _settle(trainer, model, np.random.default_rng(trainer.config.seed).permutation(validation)[:_MOST_ROWS])
    return Learned(model, {"train": history})


def _settle(trainer: Training, model: Model, rows: np.ndarray) -> None:
    """Sets what rows decide that nobody learned from: whether the inputs' own votes count, and how sure to be."""
    tokens, target = trainer.tokens(model, rows), trainer.target[rows]
    model.cpu()

    def scores() -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(model.combine(tokens).scores)

    own = model.auxiliary
    if own is not None and own.votes and trainer.config.train.auxiliary_vote is None:
        mixed = scores()
        own.vote.fill_(0.0)
        if not _is_better(model.head, scores(), mixed, target, seed=trainer.config.seed):
            own.vote.fill_(_VOTE)
    model.temperature.value.fill_(best_temperature(model.head, scores(), target))


def _is_better(head: Head, scores: np.ndarray, others: np.ndarray, target: np.ndarray, *, seed: int) -> bool:
    """Whether scores beat others in the task's first metric, by the 95 % interval of the paired bootstrap."""
    rows = np.arange(len(target))
    measured = (
        resampled([Scored(rows, one, target, metrics_of(head))], rows, samples=400, seed=seed)
        for one in (scores, others)
    )
    first, second = (of_one.get(head.metric) for of_one in measured)
    if first is None or second is None:  # undefined, such as a correlation of equal numbers
        return False
    larger = larger_is_better(head.metric)
    return difference(first, second, larger_is_better=larger, test_share=0.0, trainings=False).interval.low > 0
