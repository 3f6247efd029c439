"""Members of an ensemble that need no encoder: fitted models of handcrafted features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polymodal.layers.by_name import ByName
from polymodal.layers.fitted import Fitted
from polymodal.types import Scores, Tokens

LINEAR, BOOSTING = "linear", "gradient_boosting"


@runtime_checkable
class FittedModel(Protocol):
    """A fitted model: features as the only token of the side "" -> Scores. An `nn.Module`."""

    def __call__(self, tokens: Mapping[str, Tokens]) -> Scores: ...


class FeatureReader(Fitted):
    """Features of one input, NaN where a cell is missing -> scaled "B F", zero there; projected "B R" for trees.

    Attributes:
        bound: scaled features larger than it are cut to it, on both sides.
        projection: "F R"; empty: trees read the scaled features.
    """

    centre: Tensor
    spread: Tensor
    bound: Tensor
    projection: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(0))
        self.register_buffer("spread", torch.ones(0))
        self.register_buffer("bound", torch.tensor(torch.inf))
        self.register_buffer("projection", torch.zeros(0, 0))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B F"]:
        assert tokens.features is not None, "whoever makes batches asks the network whether it takes features"
        scaled = ((tokens.features - self.centre) / self.spread).nan_to_num(0.0, 0.0, 0.0)
        return scaled.clamp(-self.bound, self.bound) * tokens.present.unsqueeze(1)

    def project(self, scaled: Float[Tensor, "B F"]) -> Float[Tensor, "B R"]:
        return scaled @ self.projection if self.projection.numel() else scaled


class FeatureMembers(nn.Module):
    """Handcrafted features of every input -> Scores of each model that was fitted on them.

    Args:
        linear: by input, a model of its features; by "", one of the features of all inputs.
        boosting: a model of the features of all inputs; None: none.
        inputs: names of all inputs of the network.
    """

    fitted: Tensor

    def __init__(
        self, linear: Mapping[str, FittedModel], boosting: FittedModel | None, *, inputs: Sequence[str]
    ) -> None:
        super().__init__()
        self.readers = ByName({name: FeatureReader() for name in inputs})
        self.linear = ByName(linear)
        self.boosting = ByName({} if boosting is None else {BOOSTING: boosting})
        self.register_buffer("fitted", torch.zeros(len(self.names), dtype=torch.bool))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the members, in the order of `fitted`."""
        return (*map(linear_name, self.linear), *self.boosting)

    def forward(self, tokens: Mapping[str, Tokens]) -> dict[str, Scores]:
        """Scores of every member that has learned anything; present where its inputs are."""
        fitted = dict(zip(self.names, self.fitted.tolist(), strict=True))
        if not any(fitted.values()):
            return {}
        scaled = {name: reader(tokens[name]) for name, reader in self.readers.items()}
        anywhere = torch.stack([tokens[name].present for name in scaled]).any(dim=0)
        found = {}
        for name, model in self.linear.items():
            if fitted[linear_name(name)]:
                read = Tokens.vector(scaled[name], tokens[name].present) if name else _joined(scaled.values(), anywhere)
                found[linear_name(name)] = model({"": read})
        for member, model in self.boosting.items():
            if fitted[member]:
                projected = [reader.project(scaled[name]) for name, reader in self.readers.items()]
                found[member] = model({"": _joined(projected, anywhere)})
        return found


def linear_name(name: str) -> str:
    """What the linear model of an input is called among the members; "": that of all inputs."""
    return f"{LINEAR}:{name}" if name else LINEAR


def _joined(features: Iterable[Tensor], present: Bool[Tensor, " B"]) -> Tokens:
    return Tokens.vector(torch.cat(list(features), dim=1), present)
