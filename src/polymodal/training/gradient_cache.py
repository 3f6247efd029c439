"""Gradients of a loss that looks across its batch, from micro-batches: memory for one, gradients as of all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from polymodal.training.objective import Losses, Objective, Outputs
from polymodal.types import Batch, Cells

_Tree = TypeVar("_Tree")


def backward_joined(
    objective: Objective,
    batches: Sequence[Batch],
    forward: Callable[[int, Batch], Outputs],
    reduce: Callable[[Tensor], Tensor],
) -> Losses:
    """Adds the gradient of the loss of all batches as one to the parameters.

    Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup" (arXiv 2101.06983,
    section 3.2): outputs of all batches are computed without a graph; the loss of all gives their gradient; then each
    batch is computed again, with the same random numbers, and takes its part of that gradient back.

    Args:
        objective: its loss has nothing to learn.
        batches: each fits into memory.
        forward: place and batch -> its outputs, the same whenever it is asked for one place.
        reduce: losses of all rows -> what is differentiated.

    Returns:
        The losses of all rows, in the order of the batches, without gradient.
    """
    with torch.no_grad():
        parts = [forward(place, batch) for place, batch in enumerate(batches)]
    joined = tree_map(_leaf, _joined(parts))
    targets = [batch.target for batch in batches if batch.target is not None]
    losses = objective.loss(joined, Cells.joined(targets) if targets else None)
    torch.autograd.backward(reduce(losses.values))
    cotangents = [leaf.grad if isinstance(leaf, Tensor) else None for leaf in tree_leaves(joined)]
    start = 0
    for place, batch in enumerate(batches):
        end = start + len(batch)
        leaves = tree_leaves(forward(place, batch))
        pairs = [(leaf, cotangent) for leaf, cotangent in zip(leaves, cotangents, strict=True) if cotangent is not None]
        part = [(leaf, cotangent[start:end]) for leaf, cotangent in pairs if leaf.requires_grad]
        torch.autograd.backward([leaf for leaf, _ in part], [cotangent for _, cotangent in part])
        start = end
    return detached(losses)


def detached(tree: _Tree) -> _Tree:
    """A pytree whose tensors are out of the graph."""
    found: _Tree = tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, tree)
    return found


def _joined(parts: Sequence[Outputs]) -> Outputs:
    """Outputs of several batches, one below the other."""
    flat = [tree_flatten(part) for part in parts]
    leaves = [torch.cat(same) for same in zip(*(leaves for leaves, _ in flat), strict=True)]
    joined: Outputs = tree_unflatten(leaves, flat[0][1])
    return joined


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.is_floating_point())
