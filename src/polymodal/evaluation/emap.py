"""Whether a model uses interactions of its inputs: its predictions beside those of its additive projection.

EMAP, the empirical multimodally-additive function projection (Hessel & Lee 2020, "Does my multimodal model learn
cross-modal interactions? It's harder to tell than you might think!", arXiv 2010.06572): of all functions that add up
one term for each input, the one nearest to the model. Where it is as good, the model owes nothing to interactions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polymodal.data.cells.dataset import Loader
from polymodal.models.model import Network
from polymodal.protocols import Prediction
from polymodal.types import Scores, Tokens

Combine: TypeAlias = Callable[[Mapping[str, Tokens]], Prediction]
"""Tokens of every input -> scores: what a network makes of the tokens of its encoders."""

FEWEST_ROWS, MOST_ROWS = 20, 200
"""Of a sample: the mean over fewer rows is noise; the work grows with their square."""
MOST_INPUTS = 8

_WORK, _WORK_OF_ATTENTION = 1_000_000_000, 50_000_000  # numbers of all tokens that are combined: some seconds
_NUMBERS = 8_000_000  # of them at a time: 32 MB
_MOST_PAIRS = 4_096  # at a time


@dataclass(frozen=True)
class Projected:
    """Predictions of a model and of its additive projection for the same rows.

    Attributes:
        places: of these rows among those that were asked for.
    """

    places: Int[Tensor, " N"]
    model: Scores
    additive: Scores


@torch.inference_mode()
def project(network: Network, loader: Loader, device: torch.device, *, attends: bool) -> Projected | None:
    """Scores of a network, and of its additive projection, for the rows of a loader; on the CPU.

    Every encoder runs once; only fusion and head run on pairs of rows, and on fewer of them where tokens are many. None
    where not even a few rows can be afforded.

    Args:
        network: of a task that gives scores.
        loader: of at most `MOST_ROWS` rows.
        device: where it runs.
        attends: the network combines every token with every other, which takes ten times as long.
    """
    network.to(device).eval()
    parts = [network.encode(batch.to(device)) for batch in loader.epoch(0)]
    tokens = {name: Tokens.joined([part[name] for part in parts]) for name in parts[0]}
    count, size = len(loader.rows), _size(tokens)
    pairs = (_WORK_OF_ATTENTION if attends else _WORK) // (size * len(tokens))
    background = min(count, max(pairs // count, FEWEST_ROWS))
    kept = min(count, pairs // background)
    if kept < FEWEST_ROWS:
        return None
    places = _spaced(count, kept)
    tokens = {name: _rows(one, places) for name, one in tokens.items()}
    scores = _scores(network.combine, tokens)
    values = additive_projection(network.combine, tokens, min(background, kept))
    return Projected(places, scores, Scores(values.to(scores.values.dtype), scores.present))


@torch.inference_mode()
def additive_projection(
    combine: Combine, tokens: Mapping[str, Tokens], num_background: int | None = None
) -> Float[Tensor, "N K"]:
    """Scores of the additive projection in float64, on the CPU.

    With f the scores, M inputs and x_m input m of a row, f'(x) = sum_m E[f | x_m] - (M - 1) E[f]. The expectation given
    x_m takes the other inputs as they are in each of some background rows, and E[f] is its mean over these rows and all
    inputs, so that the projection of an additive f is f itself, whatever the background. Of two inputs, with all rows
    as the background, this is algorithm 1 of Hessel & Lee. Terms are added on the scale of the scores: logits, log odds
    or standardised numbers.

    Args:
        combine: f, of a network in eval mode.
        tokens: by input, of N rows.
        num_background: rows that the expectations are taken over, evenly spaced; None: all.
    """
    count = len(next(iter(tokens.values())).mask)
    background = _spaced(count, count if num_background is None else num_background)
    means = torch.stack([_conditional_mean(combine, tokens, name, background) for name in tokens])
    return means.sum(dim=0) - (len(tokens) - 1) * means[:, background].mean(dim=(0, 1))


def _conditional_mean(
    combine: Combine, tokens: Mapping[str, Tokens], name: str, background: Int[Tensor, " J"]
) -> Float[Tensor, "N K"]:
    """E[f | x_m] of every row: the mean score of its input beside the other inputs of each background row."""
    count, width = len(tokens[name].mask), len(background)
    size = _size(tokens)
    step = max(1, min(_MOST_PAIRS, _NUMBERS // size) // width)  # rows, each with the whole background
    means = []
    for start in range(0, count, step):
        rows = torch.arange(start, min(start + step, count))
        own, other = rows.repeat_interleave(width), background.repeat(len(rows))
        mixed = {key: _rows(one, own if key == name else other) for key, one in tokens.items()}
        values = _scores(combine, mixed).values.double()
        means.append(values.reshape(len(rows), width, values.shape[1]).mean(dim=1))
    return torch.cat(means)


def _scores(combine: Combine, tokens: Mapping[str, Tokens]) -> Scores:
    scores = combine(tokens).cpu()
    assert isinstance(scores, Scores), "of a task that gives scores"
    return scores


def _spaced(count: int, some: int) -> Int[Tensor, " J"]:
    """So many of `count` places, evenly spaced."""
    return torch.arange(some) * count // some


def _size(tokens: Mapping[str, Tokens]) -> int:
    """How many numbers one row has."""
    features = (0 if one.features is None else one.features.shape[1] for one in tokens.values())
    return sum(one.values[0].numel() for one in tokens.values()) + sum(features)


def _rows(tokens: Tokens, index: Int[Tensor, " B"]) -> Tokens:
    return tokens.rows(index.to(tokens.mask.device))
