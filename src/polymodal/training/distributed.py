"""What a training in several processes does together: sums, and batches that are seen whole."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather
from torch.utils._pytree import tree_map

_Tree = TypeVar("_Tree")


def num_processes() -> int:
    """How many processes train together; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum over all processes, without gradient; the value itself where there is one."""
    if num_processes() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def gather_rows(tree: _Tree, num_rows: int) -> tuple[_Tree, int]:
    """Tensors of all processes, one below the other, through which gradients flow back to each.

    Args:
        tree: a pytree of tensors, rows first, equal in shape up to the rows.
        num_rows: of this process.

    Returns:
        The joined tree, and the place of this process's first row in it.
    """
    if num_processes() == 1:
        return tree, 0
    counts = [torch.zeros((), dtype=torch.int64) for _ in range(num_processes())]
    dist.all_gather(counts, torch.tensor(num_rows))
    sizes = [int(count) for count in counts]

    def gathered(leaf: object) -> object:
        if not isinstance(leaf, Tensor):
            return leaf
        padded = torch.cat([leaf, leaf.new_zeros(max(sizes) - num_rows, *leaf.shape[1:])])
        if leaf.is_floating_point():
            parts = all_gather(padded)  # type: ignore[no-untyped-call]  # PyTorch gives it no types
        else:
            parts = [torch.zeros_like(padded) for _ in sizes]
            dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    joined: _Tree = tree_map(gathered, tree)
    return joined, sum(sizes[: dist.get_rank()])
