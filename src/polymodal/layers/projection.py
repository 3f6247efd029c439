"""Every input's tokens as one vector: where vector fusions begin."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polymodal.errors import ConfigError
from polymodal.layers.pooling import masked_mean
from polymodal.types import Tokens


class Projection(nn.Module):
    """Masked mean over the tokens, LayerNorm, Linear: "B T D" -> "B E".

    The norm comes first: encoders differ in scale, and no input should win by being loud.
    """

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width_in)
        self.linear = nn.Linear(width_in, width)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B E"]:
        result: Tensor = self.linear(self.norm(masked_mean(tokens.values, tokens.mask)))
        return result


class Pooled(nn.Module):
    """As `Projection`, for what is to be combined as it is (logits of late fusion): the masked mean alone."""

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        return masked_mean(tokens.values, tokens.mask)


class Normed(nn.Module):
    """As `Projection`, for fusions that bring maps of their own: masked mean and LayerNorm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        result: Tensor = self.norm(masked_mean(tokens.values, tokens.mask))
        return result


class StackInputs(nn.Module):
    """One vector for each input, side by side in the order of the inputs' names.

    Args:
        widths: D of each input's tokens. The order does not matter.
        width: common width; None combines the pooled inputs as they are, which then must be equally wide.

    Attributes:
        names: of the inputs, sorted: axis M of the result.
        width: of every vector.

    Raises:
        ConfigError: no input at all, or unequal widths without a projection.
    """

    def __init__(self, widths: Mapping[str, int], *, width: int | None) -> None:
        super().__init__()
        self.names = _names(widths)
        self.width = equal_width(widths) if width is None else width
        # A list: names of columns may hold dots or be `keys`, which nn.ModuleDict refuses.
        self.projections = nn.ModuleList(
            Pooled() if width is None else Projection(widths[name], width) for name in self.names
        )

    def forward(self, tokens: Mapping[str, Tokens]) -> tuple[Float[Tensor, "B M D"], Bool[Tensor, "B M"]]:
        """Vectors and which of them are real; zeros stand where an input is absent."""
        present = _present(tokens, self.names)
        vectors = [project(tokens[name]) for name, project in zip(self.names, self.projections, strict=True)]
        stacked = torch.stack(vectors, dim=1)
        # Through `where`, so that every projection stays in the graph even when its input is absent from the batch.
        return torch.where(present.unsqueeze(-1), stacked, stacked.new_zeros(())), present


class EachInput(nn.Module):
    """One vector for each input, of its own width: for fusions that give every input a map of its own.

    Args:
        widths: D of each input's tokens. The order does not matter.
        width: of every vector, after a `Projection`; None leaves each as wide as it is.
        norm: where nothing is projected, LayerNorm after the masked mean; else the inputs are taken as they are.

    Attributes:
        names: of the inputs, sorted: the order of the vectors.
        widths: of the vectors, in that order.

    Raises:
        ConfigError: no input at all.
    """

    def __init__(self, widths: Mapping[str, int], *, width: int | None, norm: bool = False) -> None:
        super().__init__()
        self.names = _names(widths)
        self.widths = [widths[name] if width is None else width for name in self.names]
        self.projections = nn.ModuleList(_entry(widths[name], width, norm=norm) for name in self.names)

    def forward(self, tokens: Mapping[str, Tokens]) -> tuple[list[Float[Tensor, "B _"]], Bool[Tensor, "B M"]]:
        """Vectors and which of them are real; zeros stand where an input is absent."""
        present = _present(tokens, self.names)
        vectors = [project(tokens[name]) for name, project in zip(self.names, self.projections, strict=True)]
        kept = [torch.where(present[:, k : k + 1], vector, vector.new_zeros(())) for k, vector in enumerate(vectors)]
        return kept, present


def equal_width(widths: Mapping[str, int]) -> int:
    """The width that all inputs have.

    Raises:
        ConfigError: they are not equally wide.
    """
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{name} {widths[name]}" for name in sorted(widths))
        raise ConfigError(f"Inputs of unequal width ({listed}) cannot be combined as they are; set project: true.")
    return next(iter(widths.values()))


def prepend_one(values: Float[Tensor, "B D"]) -> Float[Tensor, "B _"]:
    """[1; v]: with it, a product over inputs holds the products over fewer of them, too."""
    return torch.cat([torch.ones_like(values[:, :1]), values], dim=1)


def _names(widths: Mapping[str, int]) -> list[str]:
    if not widths:
        raise ConfigError("A fusion needs at least one input; the table has no column that enters the model.")
    return sorted(widths)


def _present(tokens: Mapping[str, Tokens], names: list[str]) -> Bool[Tensor, "B M"]:
    return torch.stack([tokens[name].present for name in names], dim=1)


def _entry(width_in: int, width: int | None, *, norm: bool) -> nn.Module:
    if width is not None:
        return Projection(width_in, width)
    return Normed(width_in) if norm else Pooled()
