"""What every input learns to say by itself, beside the fusion of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polymodal.abilities import Pooling
from polymodal.layers.by_name import ByName
from polymodal.layers.uncertainty import UncertaintyWeights
from polymodal.types import Head, Prediction, Tokens


class AuxiliaryHeads(nn.Module):
    """A head for each input, which learns to predict the target from that input alone.

    So a strong input does not starve a weak one of gradient (Wang et al. 2020, "What makes training multi-modal
    classification networks hard?"), and what the inputs say by themselves may count in predictions.

    Args:
        heads: by input.
        loss: weight of their losses, blended to one.
        vote: share of the mean of their scores in a prediction; at 0 they only serve the loss, and always will.
        learned: blend the losses by weights that are learned (`UncertaintyWeights`) instead of their mean.

    Attributes:
        vote: that share, which may be changed and is saved with the weights.
    """

    vote: Tensor

    def __init__(
        self, heads: Mapping[str, Head], *, loss: float = 1.0, vote: float = 0.0, learned: bool = False
    ) -> None:
        super().__init__()
        self.heads = ByName(cast(Mapping[str, nn.Module], heads))
        self.loss_weight = loss
        self.blend = UncertaintyWeights(len(heads)) if learned else None
        self.votes = vote > 0
        self.register_buffer("vote", torch.tensor(vote))

    def forward(self, tokens: Mapping[str, Tokens]) -> dict[str, Prediction]:
        """What each input says."""
        return {name: head(tokens[name]) for name, head in self.heads.items()}

    def blended(self, losses: Mapping[str, Tensor], tokens: Mapping[str, Tokens]) -> Float[Tensor, " B"]:
        """One loss of the inputs' own ones, times its weight."""
        own = torch.stack(list(losses.values()))
        if self.blend is None:
            return self.loss_weight * own.mean(dim=0)
        blended: Tensor = self.blend(own, torch.stack([tokens[name].present for name in losses]))
        return self.loss_weight * blended

    def mixed_into(self, prediction: Prediction, tokens: Mapping[str, Tokens], head: Head) -> Prediction:
        """The prediction of a head, with its share of what the inputs that are present say."""
        if not self.votes:
            return prediction
        own = self(tokens)
        present = torch.stack([tokens[name].present for name in own]).float()
        shares = self.vote * present / present.sum(dim=0).clamp_min(1)
        weights = torch.cat([(1 - self.vote).expand_as(shares[:1]), shares])
        scores = torch.stack([prediction.scores, *(said.scores for said in own.values())])
        mixed = head.pool(scores, weights) if isinstance(head, Pooling) else (scores * weights.unsqueeze(-1)).sum(dim=0)
        return replace(prediction, scores=torch.where(prediction.present.unsqueeze(1), mixed, prediction.scores))
