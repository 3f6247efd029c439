"""Runs a network over batches: in eval mode, without gradient, results on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor
from torch.utils._pytree import tree_leaves

from polymodal.data.cells.dataset import Dataset, Loader
from polymodal.models.model import Network
from polymodal.protocols import Prediction
from polymodal.types import Batch


def loader_for(network: Network, dataset: Dataset, rows: np.ndarray | None = None, *, batch_size: int) -> Loader:
    """Batches of what a network reads of some rows, in their order; None: of all rows."""
    loader = dataset.loader(rows, batch_size=batch_size, columns=network.columns)
    if not network.takes_features:
        return loader
    return replace(loader, featured=tuple({name: None for group in network.columns.values() for name in group}))


def predict_batches(network: Network, loader: Loader, device: torch.device) -> Iterator[tuple[Batch, Prediction]]:
    """Batches with the predictions for them, in eval mode and without mixed precision; all on the CPU."""
    return forward_batches(network.to(device).eval(), loader, device)


def forward_batches(network: Network, loader: Loader, device: torch.device) -> Iterator[tuple[Batch, Prediction]]:
    """`predict_batches` of a network that is on the device and in eval mode already."""
    for batch in loader.epoch(0):
        with torch.inference_mode():
            prediction = network(batch.to(device))
        yield batch, prediction.cpu()


def predict_loader(network: Network, loader: Loader, device: torch.device) -> Prediction:
    """The predictions for all rows of a loader, in its order; it has at least one."""
    return joined([prediction for _, prediction in predict_batches(network, loader, device)])


def joined(parts: list[Prediction]) -> Prediction:
    """Predictions of one kind, one below the other; at least one."""
    return type(parts[0]).joined(parts)


def finite_rows(prediction: Prediction) -> Bool[Tensor, " B"]:
    """Rows of which every number is finite."""
    finite = torch.ones(len(prediction.present), dtype=torch.bool)
    for leaf in tree_leaves(prediction):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            finite &= leaf.isfinite().flatten(1).all(dim=1) if leaf.ndim > 1 else leaf.isfinite()
    return finite
