"""Every input's tokens as one vector: where vector fusions begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from pydantic import PositiveInt
from torch import Tensor, nn

from polymodal.config.node import settings
from polymodal.errors import ConfigError, did_you_mean
from polymodal.layers.pooling import masked_mean
from polymodal.types import Tokens


@settings
class StackConfig:
    """Settings of fusions of one vector for each input; some have more.

    Attributes:
        width: of the result.
        project: bring every input to `width` first (LayerNorm, Linear); False combines the inputs as they are.
    """

    width: PositiveInt = 128
    project: bool = True


class Projection(nn.Module):
    """Masked mean over the tokens, LayerNorm, Linear: "B T D" -> "B E".

    The norm comes first: encoders differ in scale, and no input should win by being loud.

    Args:
        width_in: D.
        width: E; None: no Linear, for what is to be combined as it is (logits of late fusion), and fusions that bring
            maps of their own.
        norm: False: no LayerNorm.
    """

    def __init__(self, width_in: int, width: int | None, *, norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width_in) if norm else nn.Identity()
        self.linear = nn.Identity() if width is None else nn.Linear(width_in, width)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B E"]:
        result: Tensor = self.linear(self.norm(masked_mean(tokens.values, tokens.mask)))
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
        self.names = input_names(widths)
        self.width = equal_width(widths) if width is None else width
        # A list: names of columns may hold dots or be `keys`, which nn.ModuleDict refuses.
        self.projections = nn.ModuleList(Projection(widths[name], width, norm=width is not None) for name in self.names)

    def forward(self, tokens: Mapping[str, Tokens]) -> tuple[Float[Tensor, "B M D"], Bool[Tensor, "B M"]]:
        """Vectors and which of them are real; zeros stand where an input is absent."""
        vectors, present = _projected(tokens, self.names, self.projections)
        return torch.stack(vectors, dim=1), present


class StackFusion(nn.Module):
    """What fusions that combine `StackInputs` have alike, so that a new one says only how it differs."""

    Config: ClassVar[type] = StackConfig

    def __init__(self, config: StackConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.stack = StackInputs(widths, width=config.width if config.project else None)
        self.width = self.stack.width


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
        self.names = input_names(widths)
        self.widths = [widths[name] if width is None else width for name in self.names]
        self.projections = nn.ModuleList(
            Projection(widths[name], width, norm=norm or width is not None) for name in self.names
        )

    def forward(self, tokens: Mapping[str, Tokens]) -> tuple[list[Float[Tensor, "B _"]], Bool[Tensor, "B M"]]:
        """Vectors and which of them are real; zeros stand where an input is absent."""
        return _projected(tokens, self.names, self.projections)


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


def input_names(widths: Mapping[str, int]) -> list[str]:
    """Names of the inputs, sorted: the order in which fusions take them.

    Raises:
        ConfigError: no input at all.
    """
    if not widths:
        raise ConfigError("A fusion needs at least one input; the table has no column that enters the model.")
    return sorted(widths)


def require_input(setting: str, name: str, names: Sequence[str]) -> None:
    """Refuses a setting that names an input which there is not.

    Args:
        setting: for the message: "Fusion 'average': weights".
        name: what it names.
        names: of the inputs.

    Raises:
        ConfigError: there is no such input.
    """
    if name not in names:
        raise ConfigError(
            f"{setting}: no input is called {name!r}.{did_you_mean(name, names)} Inputs: {', '.join(names)}."
        )


def _projected(
    tokens: Mapping[str, Tokens], names: Sequence[str], projections: nn.ModuleList
) -> tuple[list[Float[Tensor, "B _"]], Bool[Tensor, "B M"]]:
    """One vector for each input, zeros in the rows where it is absent, and the rows where it is present."""
    present = torch.stack([tokens[name].present for name in names], dim=1)
    vectors = [project(tokens[name]) for name, project in zip(names, projections, strict=True)]
    # Through `where`, so that every projection stays in the graph even when its input is absent from the batch.
    kept = [torch.where(present[:, k : k + 1], vector, vector.new_zeros(())) for k, vector in enumerate(vectors)]
    return kept, present
