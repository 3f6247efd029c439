"""Weighted averages of predictions that come from the same tokens."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from polymodal.calibration.temperature import Temperature
from polymodal.layers.by_name import ByName
from polymodal.layers.scores_head import ScoresHead
from polymodal.layers.unimodal_predictions import pool
from polymodal.models.model import Model
from polymodal.protocols import Encoder
from polymodal.types import Batch, Meaning, Scores, Tokens


class Ensemble(nn.Module):
    """A model, and unimodal heads whose predictions count beside the fused one; then calibration.

    A unimodal head predicts from the tokens of one input alone. It learns beside the model, so that a strong input does
    not starve a weak one of gradient (Wang et al. 2020, "What makes training multi-modal classification networks
    hard?"), and what all of them predict may be averaged into every prediction.

    Args:
        model: of a task that gives scores.
        heads: unimodal heads by input; may be none.
        meaning: what the scores are: probabilities are averaged as such.
        weight: ensemble weight of the mean of the unimodal predictions, from 0 to 1; the fused one has the rest. It may
            be changed, and is saved with the model's weights.
    """

    weight: Tensor

    def __init__(
        self, model: Model, heads: Mapping[str, ScoresHead], *, meaning: Meaning, weight: float, calibrator: Temperature
    ) -> None:
        super().__init__()
        self.model = model
        self.heads = ByName(heads)
        self.meaning = meaning
        self.calibrator = calibrator
        self.register_buffer("weight", torch.tensor(weight))

    @property
    def encoders(self) -> dict[str, Encoder]:
        return self.model.encoders

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        return self.model.columns

    @property
    def head(self) -> ScoresHead:
        """That of the model."""
        head = self.model.head
        assert isinstance(head, ScoresHead), "that of a task that gives scores"
        return head

    def forward(self, batch: Batch) -> Scores:
        return self.combine(self.encode(batch))

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        return self.model.encode(batch)

    def encode_input(self, name: str, batch: Batch) -> Tokens:
        return self.model.encode_input(name, batch)

    def combine(self, tokens: Mapping[str, Tokens]) -> Scores:
        fused = self.head.predict(self.model.fuse(tokens))
        averaged: Scores = self.calibrator(self._averaged(fused, tokens))
        return averaged

    def unimodal(self, tokens: Mapping[str, Tokens]) -> dict[str, Scores]:
        """What each input predicts by itself."""
        return {name: head({"": tokens[name]}) for name, head in self.heads.items()}

    def _averaged(self, fused: Scores, tokens: Mapping[str, Tokens]) -> Scores:
        """Of a row, the inputs that are present share the weight of the unimodal predictions."""
        if not len(self.heads) or not float(self.weight):
            return fused
        alone = self.unimodal(tokens)
        present = torch.stack([tokens[name].present for name in alone]).float()
        shares = self.weight * present / present.sum(dim=0).clamp_min(1)
        weights = torch.cat([(1 - self.weight).expand_as(shares[:1]), shares])
        scores = torch.stack([fused.values, *(scores.values for scores in alone.values())])
        mixed = pool(scores, weights, self.meaning)
        return Scores(torch.where(fused.present.unsqueeze(1), mixed, fused.values), fused.present)
