"""Ensembles: a model, unimodal heads on its tokens and models of handcrafted features, pooled and calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polymodal.calibration.temperature import Temperature
from polymodal.layers.by_name import ByName
from polymodal.layers.opinion_pool import normalised, pool
from polymodal.layers.pooling import masked_mean
from polymodal.layers.scores_head import ScoresHead
from polymodal.models.feature_members import BOOSTING, FeatureMembers
from polymodal.models.model import Model
from polymodal.protocols import Encoder
from polymodal.types import Batch, Meaning, Scores, Tokens

JOINT, UNIMODAL = "joint", "unimodal"
_PRIOR: Mapping[str, float] = {BOOSTING: 0.5}
"""What a kind of members weighs before any row was seen, 1 unless said: trees are too sure of rows unlike any other."""


class Ensemble(nn.Module):
    """Several predictors, whose weighted mean is the prediction; then calibration.

    Its members are the jointly trained model (`joint`); a head on the tokens of each input alone (`unimodal:photo`),
    which learns beside the model, so that a strong input does not starve a weak one of gradient (Wang et al. 2020,
    "What makes training multi-modal classification networks hard?"); and models of handcrafted features
    (`linear:photo`, `gradient_boosting`), which few rows suffice for. In each row, the members whose inputs are
    present share the weight of all.

    Args:
        model: of a task that gives scores.
        heads: unimodal heads by input; may be none.
        features: the models of handcrafted features; None: none.
        pools_heads: the unimodal heads are members; else they only learn beside the model.
        meaning: what the scores are: of probabilities the logarithms are averaged.

    Attributes:
        weights: of the members, in the order of `names`; they add up to one, and are saved with the model.
        temperatures: by which the scores of each member are divided first: one that is too sure must not outweigh all.
    """

    weights: Tensor
    temperatures: Tensor

    def __init__(
        self,
        model: Model,
        heads: Mapping[str, ScoresHead],
        features: FeatureMembers | None = None,
        *,
        pools_heads: bool,
        meaning: Meaning,
        calibrator: Temperature,
    ) -> None:
        super().__init__()
        self.model = model
        self.heads = ByName(heads)
        self.features = features
        self.pools_heads = pools_heads
        self.meaning = meaning
        self.calibrator = calibrator
        self.register_buffer("weights", self.prior())
        self.register_buffer("temperatures", torch.ones(len(self.names)))

    @property
    def encoders(self) -> dict[str, Encoder]:
        return self.model.encoders

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        return self.model.columns

    @property
    def takes_features(self) -> bool:
        """It has fitted models of handcrafted features."""
        return self.features is not None and bool(self.features.fitted.any())

    @property
    def head(self) -> ScoresHead:
        """That of the model."""
        head = self.model.head
        assert isinstance(head, ScoresHead), "that of a task that gives scores"
        return head

    @property
    def names(self) -> tuple[str, ...]:
        """Of all members."""
        heads = (f"{UNIMODAL}:{name}" for name in self.heads if self.pools_heads)
        return (JOINT, *heads, *(() if self.features is None else self.features.names))

    def prior(self) -> Float[Tensor, " M"]:
        """The weights before any row was seen: of trees half that of other kinds, whose members share it."""
        kinds = [name.partition(":")[0] for name in self.names]
        weights = torch.tensor([_PRIOR.get(kind, 1.0) / kinds.count(kind) for kind in kinds])
        return weights / weights.sum()

    def forward(self, batch: Batch) -> Scores:
        return self.combine(self.encode(batch))

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        """Tokens of every input, with their handcrafted features where a member reads them."""
        return {name: self._with_features(name, one, batch) for name, one in self.model.encode(batch).items()}

    def encode_input(self, name: str, batch: Batch) -> Tokens:
        return self._with_features(name, self.model.encode_input(name, batch), batch)

    def combine(self, tokens: Mapping[str, Tokens]) -> Scores:
        return self.pooled(self.members(tokens))

    def pooled(self, members: Mapping[str, Scores]) -> Scores:
        """The prediction of all members together, calibrated; rows without any input keep the prior."""
        fused, places = members[JOINT], [self.names.index(name) for name in members]
        values = torch.stack([scores.values for scores in members.values()])
        mean = pool(
            normalised(values / self.temperatures[places].view(-1, 1, 1), self.meaning),
            torch.stack([scores.present for scores in members.values()]),
            self.weights[places],
        )
        averaged = Scores(torch.where(fused.present.unsqueeze(1), mean, fused.values), fused.present)
        calibrated: Scores = self.calibrator(averaged)
        return calibrated

    def members(self, tokens: Mapping[str, Tokens]) -> dict[str, Scores]:
        """What each member predicts, before its temperature; those that have learned nothing are left out."""
        found = {JOINT: self.head.predict(self.model.fuse(tokens))}
        if self.pools_heads:
            found |= {f"{UNIMODAL}:{name}": scores for name, scores in self.unimodal(tokens).items()}
        if self.features is not None:
            found |= self.features(tokens)
        return {name: replace(one, values=normalised(one.values, self.meaning)) for name, one in found.items()}

    def unimodal(self, tokens: Mapping[str, Tokens]) -> dict[str, Scores]:
        """What each input predicts by itself."""
        return {name: head({"": tokens[name]}) for name, head in self.heads.items()}

    def _with_features(self, name: str, tokens: Tokens, batch: Batch) -> Tokens:
        """The tokens of an encoder are features, too, if it was frozen when the members were fitted."""
        if self.features is None or not self.takes_features:
            return tokens
        features = [batch.features[column] for column in self.columns[name]]
        if sum(one.shape[1] for one in features) < len(self.features.readers[name].centre):
            features.append(masked_mean(tokens.values, tokens.mask))
        return replace(tokens, features=torch.cat(features, dim=1))
