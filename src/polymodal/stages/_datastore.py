"""Training rows as neighbours: a head that looks at them is given them, and how much they count is chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polymodal.layers.datastore import Block, blocks_of
from polymodal.layers.sequence_head import Remembering
from polymodal.metrics.direction import greater_is_better
from polymodal.models.model import Model, Network
from polymodal.models.stage import Fitter
from polymodal.types import Sequences, Tokens

_WEIGHTS = np.linspace(0, 1, 11)
_USUAL, _ERRORS = 0.5, 2.0
_MOST_ROWS, _AT_ONCE, _DRAWS = 500, 64, 200  # rows by which the weight is chosen, and bootstrap samples of them


@contextmanager
def learning(network: Network) -> Iterator[None]:
    """Meanwhile a head searches as it does while it learns: quickly, and without neighbours of before."""
    head = network.head
    if not isinstance(head, Remembering):
        yield
        return
    if head.datastore is not None:
        head.datastore.forget()
    with head.drafting():
        yield


def remember(fitter: Fitter, network: Network, rows: np.ndarray, validation: np.ndarray) -> None:
    """Gives a head that looks at training rows these rows, and the weight that is best for the validation rows.

    Of 0, 0.1, ..., 1 it is the one nearest to 0.5 whose metric is within two standard errors of the best, by a paired
    bootstrap (as the rule of Breiman et al. 1984, section 3.4.3, which has one): twenty rows do not tell 0.1 from 0.5.
    Without validation rows it stays as it is.
    """
    head = network.head
    if not isinstance(head, Remembering) or head.datastore is None or (target := fitter.target(rows)) is None:
        return
    assert isinstance(network, Model), "texts are predicted by one network"
    blocks: list[Block] = []

    def pooled(tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
        blocks[:] = blocks_of({name: tokens[name] for name in network.columns})
        return {"": Tokens.vector(_features_of(network.fuse(tokens)))}

    keys = fitter.tokens(network, rows, pooled)[""].values[:, 0]
    head.datastore.remember(keys, blocks, target)
    some = np.random.default_rng(fitter.config.seed).permutation(validation)[:_MOST_ROWS]
    if len(some):
        head.datastore.weight.fill_(_best_weight(fitter, network, some))


def _best_weight(fitter: Fitter, network: Model, rows: np.ndarray) -> float:
    task, head = fitter.task, network.head
    target = fitter.target(rows)
    assert isinstance(head, Remembering) and head.datastore is not None and target is not None, "the head was filled"

    def read(tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
        (fused,) = network.fuse(tokens).values()
        return {"fused": fused, "features": Tokens.vector(_features_of({"": fused}))}

    found, device, parts = fitter.tokens(network, rows, read), head.datastore.weight.device, list[list[Sequences]]()
    for start in range(0, len(rows), _AT_ONCE):
        index = torch.arange(start, min(start + _AT_ONCE, len(rows)))
        fused, features = found["fused"].rows(index), found["features"].values[index, 0]
        tokens = Tokens(fused.values.to(device), fused.mask.to(device), features.to(device))
        with torch.inference_mode():
            parts.append([one.cpu() for one in head.weighted(tokens, _WEIGHTS.tolist())])
    joined = [Sequences.joined(list(of_weight)) for of_weight in zip(*parts, strict=True)]
    draws = np.random.default_rng(fitter.config.seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), _DRAWS)
    weightings = np.concatenate([np.ones((1, len(rows))), draws])
    sign = 1 if greater_is_better(task.greater_is_better, task.metric) else -1
    scores = np.stack([sign * task.metrics(task.rows(one, target), weightings)[task.metric] for one in joined])
    return float(_WEIGHTS[_within_errors(scores)])


def _within_errors(scores: Float[np.ndarray, "W S"]) -> int:
    """Place of the weight nearest to the usual one that is no more than two standard errors below the best.

    Args:
        scores: of each weight, greater is better: of all rows first, then of bootstrap samples of them.
    """
    best = int(np.argmax(scores[:, 0]))
    below = scores[best] - scores
    good = below[:, 0] <= _ERRORS * np.nan_to_num(below[:, 1:].std(axis=1))
    return int(np.argmin(np.where(good, np.abs(_WEIGHTS - _USUAL), np.inf)))


def _features_of(fused: Mapping[str, Tokens]) -> Float[Tensor, "B F"]:
    """What the inputs look like, which a model lays beside its fused tokens."""
    (only,) = fused.values()
    assert only.features is not None, "a head with a datastore gets them"
    return only.features
