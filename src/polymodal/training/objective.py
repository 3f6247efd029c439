"""What training makes smaller: the loss of a network on a batch, of which some inputs are masked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.export import register_dataclass
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from polymodal.abilities import Confident
from polymodal.layers.scores_head import ScoresHead
from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Model, only
from polymodal.protocols import Prediction
from polymodal.training.distributed import gather_rows, num_processes
from polymodal.training.mixing import Mixing, of_rows
from polymodal.types import Batch, Cells, Scores, Tokens

_Tree = TypeVar("_Tree")


@dataclass(frozen=True)
class Outputs:
    """What a network gives for one batch before its loss; tensors with rows first.

    Attributes:
        head: output of the head, from fused tokens of which some inputs were masked.
        unimodal: by input, what its unimodal head gives, or the head for that input alone; may be empty.
        present: by input of `unimodal`, which rows have it.
    """

    head: Any
    unimodal: Mapping[str, Scores] = field(default_factory=dict)
    present: Mapping[str, Bool[Tensor, " B"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Losses:
    """What one batch gives to learn from.

    Attributes:
        values: loss of each row, before sample weights.
        prediction: of the head, for inputs of which some were masked; None where its output is no prediction.
        confidence: by input, how confident it is by itself in the target, without gradient, NaN for rows without it.
            Empty where nothing measures it.
    """

    values: Float[Tensor, " B"]
    prediction: Prediction | None
    confidence: Mapping[str, Float[Tensor, " B"]]

    def rows(self, some: slice) -> Losses:
        """Those of some rows, without the prediction."""
        return Losses(self.values[some], None, {name: rows[some] for name, rows in self.confidence.items()})


for _kind in (Outputs, Losses):  # so that they can be joined, detached and gathered as trees of tensors
    register_dataclass(_kind)


class Objective(nn.Module):
    """Batch -> Losses. What a wrapper for several processes calls.

    A loss that looks across its batch sees the rows of all processes.

    While training, whole inputs are masked at random (modality dropout), so that the model learns to do without any of
    them; and where the network is an ensemble, each of its unimodal heads learns the target, too.

    Args:
        network: model, or ensemble around one.
        auxiliary_loss: weight of the losses of unimodal heads, blended to one.
        learned_blend: blend them by weights that are learned (`UncertaintyWeights`) instead of their mean.
        modality_dropout: probability with which an input of a row is masked; a row keeps at least one.
    """

    def __init__(
        self,
        network: Model | Ensemble,
        *,
        auxiliary_loss: float = 0.0,
        learned_blend: bool = False,
        modality_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.network = network
        self.auxiliary_loss = auxiliary_loss
        self.modality_dropout = modality_dropout
        num_heads = len(network.heads) if isinstance(network, Ensemble) else 0
        self.blend = UncertaintyWeights(num_heads) if learned_blend and num_heads else None

    @property
    def model(self) -> Model:
        """The model, without what is around it."""
        return self.network.model if isinstance(self.network, Ensemble) else self.network

    @property
    def in_batch(self) -> bool:
        """The loss of a row depends on the other rows of its batch."""
        return self.model.head.in_batch

    def train(self, mode: bool = True) -> Objective:
        """Training mode; frozen encoders stay in eval mode."""
        super().train(mode)
        for encoder in self.network.encoders.values():
            if encoder.frozen:
                encoder.eval()
        return self

    def forward(
        self, batch: Batch, *, mixing: Mixing | None = None, progress: float = 1.0, measure_inputs: bool = False
    ) -> Losses:
        outputs = self.outputs(batch, mixing=mixing, progress=progress, measure_inputs=measure_inputs)
        if not self.in_batch or num_processes() == 1:
            return self.loss(outputs, batch.target, mixing=mixing)
        (outputs, target), start = gather_rows((outputs, batch.target), len(batch))
        return self.loss(outputs, target).rows(slice(start, start + len(batch)))

    def outputs(
        self, batch: Batch, *, mixing: Mixing | None = None, progress: float = 1.0, measure_inputs: bool = False
    ) -> Outputs:
        """What the heads give for a batch; progress is how much of the training is done, 0 to 1.

        `measure_inputs` is for the confidence of inputs without unimodal heads: the fusion then sees one at a time.
        """
        tokens = self.model.encode(batch if mixing is None else mixing.of_batch(batch))
        tokens = tokens if mixing is None else mixing.of_tokens(tokens)
        unimodal = self.network.unimodal(tokens) if isinstance(self.network, Ensemble) and self.auxiliary_loss else {}
        output = self.model.head(self.model.fuse(self._masked(tokens)), batch.target, progress)
        if measure_inputs and not unimodal and isinstance(self.model.head, ScoresHead):
            with torch.no_grad():
                unimodal = {name: self.model.head(self.model.fuse(only(name, tokens))) for name in tokens}
        return Outputs(output, unimodal, {name: tokens[name].present for name in unimodal})

    def loss(self, outputs: Outputs, target: Cells | None, *, mixing: Mixing | None = None) -> Losses:
        """Losses of the rows of one batch, or of several that were joined; nothing in it learns but the blend."""
        head = self.model.head
        loss = of_rows(partial(head.loss, outputs.head), target, mixing)
        if self.auxiliary_loss and outputs.unimodal:
            losses = {n: of_rows(partial(head.loss, said), target, mixing) for n, said in outputs.unimodal.items()}
            every = torch.stack(list(losses.values()))
            if self.blend is None:
                blended = every.mean(dim=0)
            else:
                blended = self.blend(every, torch.stack([outputs.present[name] for name in losses]))
            loss = loss + self.auxiliary_loss * blended
        with torch.no_grad():
            confidence = {
                name: of_rows(partial(self._confidence, said), target, mixing).where(outputs.present[name], torch.nan)
                for name, said in outputs.unimodal.items()
            }
        predicted = isinstance(outputs.head, Prediction) and not head.in_batch and mixing is None
        return Losses(loss, outputs.head if predicted else None, confidence)

    def backward_joined(
        self, batches: Sequence[Batch], forward: Callable[[int, Batch], Outputs], reduce: Callable[[Tensor], Tensor]
    ) -> Losses:
        """Adds the gradient of the loss of all batches as one to the parameters, with memory for one of them.

        The gradient cache (Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup",
        arXiv 2101.06983, section 3.2): outputs of all batches are computed without a graph; the loss of all, which has
        nothing to learn, gives their gradient; then each batch is computed again, with the same random numbers, and
        takes its part of that gradient back.

        Args:
            batches: each fits into memory.
            forward: place and batch -> its outputs, the same whenever it is asked for one place.
            reduce: losses of all rows -> what is differentiated.

        Returns:
            The losses of all rows, in the order of the batches, without gradient.
        """
        with torch.no_grad():
            flat = [tree_flatten(forward(place, batch)) for place, batch in enumerate(batches)]
            leaves = [torch.cat(same) for same in zip(*(leaves for leaves, _ in flat), strict=True)]
        leaves = [leaf.requires_grad_(leaf.is_floating_point()) for leaf in leaves]
        targets = [batch.target for batch in batches if batch.target is not None]
        losses = self.loss(tree_unflatten(leaves, flat[0][1]), Cells.joined(targets) if targets else None)
        torch.autograd.backward(reduce(losses.values))
        start = 0
        for place, batch in enumerate(batches):
            end = start + len(batch)
            pairs = zip(tree_leaves(forward(place, batch)), leaves, strict=True)
            part = [(leaf, of_all.grad[start:end]) for leaf, of_all in pairs if of_all.grad is not None]
            part = [(leaf, cotangent) for leaf, cotangent in part if leaf.requires_grad]
            torch.autograd.backward([leaf for leaf, _ in part], [cotangent for _, cotangent in part])
            start = end
        return detached(losses)

    def _confidence(self, scores: Scores, target: Cells | None) -> Float[Tensor, " B"]:
        """Confidence in the target, as the criterion says, else exp(-loss): the likelihood without constants."""
        head = self.model.head
        if isinstance(head, ScoresHead) and isinstance(head.criterion, Confident) and target is not None:
            return head.criterion.confidence(scores, target)
        return torch.exp(-head.loss(scores, target))

    def _masked(self, tokens: dict[str, Tokens]) -> dict[str, Tokens]:
        """The tokens with some inputs masked; each side of a model keeps at least one."""
        if not self.modality_dropout:
            return tokens
        result = dict(tokens)
        for tower in self.model.towers.values():
            names = list(tower.encoders)
            if len(names) < 2:
                continue
            present = torch.stack([tokens[name].present for name in names])
            keep = keep_some(present, self.modality_dropout)
            result |= {name: tokens[name].where_present(row) for name, row in zip(names, keep, strict=True)}
        return result


class UncertaintyWeights(nn.Module):
    """L = mean over i of exp(-s_i) * L_i + s_i / 2, with a learned s_i for each loss.

    Kendall, Gal & Cipolla 2018 (arXiv 1705.07115, equation 10, with s = log of the squared deviation, and the factor of
    their classification likelihood for every task): at rest exp(-s_i) = 1 / (2 L_i), so that what cannot be learned
    better pulls less. In the beginning all weights are 1, and L is the mean.

    A row that does not have an input keeps the plain loss there: it tells nothing of how hard the input is.
    """

    def __init__(self, num_losses: int) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(num_losses))

    def forward(self, losses: Float[Tensor, "I B"], present: Bool[Tensor, "I B"]) -> Float[Tensor, " B"]:
        """Losses of each input and row, and which of them come from a cell -> one loss a row."""
        log_variance = self.log_variance.unsqueeze(1)
        weighted = torch.exp(-log_variance) * losses + log_variance / 2
        return torch.where(present, weighted, losses).mean(dim=0)


def detached(tree: _Tree) -> _Tree:
    """A pytree whose tensors are out of the graph."""
    found: _Tree = tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, tree)
    return found


def keep_some(present: Bool[Tensor, "I B"], probability: float) -> Bool[Tensor, "I B"]:
    """Which of the present inputs of each row to keep: each is masked with the probability, one always stays."""
    draw = torch.rand(present.shape, device=present.device).masked_fill(~present, -1.0)
    survivor = draw == draw.max(dim=0, keepdim=True).values  # the last that a rising probability would mask
    return present & ((draw >= probability) | survivor)
