"""Every input's tokens as one vector of a common width: where vector fusions begin."""

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
        self.names = sorted(widths)
        if not self.names:
            raise ConfigError("A fusion needs at least one input; the table has no column that enters the model.")
        if width is None and len(set(widths.values())) > 1:
            listed = ", ".join(f"{name} {widths[name]}" for name in self.names)
            raise ConfigError(f"Inputs of unequal width ({listed}) cannot be combined as they are; set project: true.")
        self.width = widths[self.names[0]] if width is None else width
        # A list: names of columns may hold dots or be `keys`, which nn.ModuleDict refuses.
        self.projections = nn.ModuleList(
            Pooled() if width is None else Projection(widths[name], width) for name in self.names
        )

    def forward(self, tokens: Mapping[str, Tokens]) -> tuple[Float[Tensor, "B M D"], Bool[Tensor, "B M"]]:
        """Vectors and which of them are real; zeros stand where an input is absent."""
        present = torch.stack([tokens[name].present for name in self.names], dim=1)
        vectors = [project(tokens[name]) for name, project in zip(self.names, self.projections, strict=True)]
        stacked = torch.stack(vectors, dim=1)
        # Through `where`, so that every projection stays in the graph even when its input is absent from the batch.
        return torch.where(present.unsqueeze(-1), stacked, stacked.new_zeros(())), present
