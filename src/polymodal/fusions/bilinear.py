"""Multiplicative interaction: one input sets the linear map that is applied to another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from polymodal.errors import ConfigError
from polymodal.layers.projection import EachInput, StackConfig, equal_width, require_input
from polymodal.types import Tokens

_MOST_WEIGHTS = 2**24


@dataclass(frozen=True)
class BilinearConfig(StackConfig):
    """Settings of `Bilinear`, besides those of `StackConfig`.

    Attributes:
        project: bring every input to `input_width` (in the vector and scalar forms, to `width`) first (LayerNorm,
            Linear); False combines the inputs as they are: then the vector and scalar forms are as wide as they.
        input_width: of every input of the matrix form, once projected.
        form: `matrix`, `vector` or `scalar`: what one input sets for another: a full map, a factor for each feature, or
            one factor.
        context: in the vector and scalar forms, the input that sets factors of all others and has none itself;
            None: the first by name.
    """

    input_width: PositiveInt = 32
    form: Literal["matrix", "vector", "scalar"] = "matrix"
    context: str | None = None


class Bilinear(nn.Module):
    """Of two inputs z and x: y = z' W x + U z + V x + b (Jayakumar et al. 2020, ICLR, equation 1).

    v_1, v_2, ...: pooled and projected, in the order of their names, the context first. For any number of inputs:

        matrix: y = b + sum of U_i v_i + sum over pairs i < j of v_i' W_ij v_j      W_ij: "D_i D_j width"
        vector: y = b + U v_1 + sum over j > 1 of v_j * (V_j + W_j [v_1 ... v_(j-1)])   y: "B D", D the width of v_j
        scalar: the same, with one number, for all D features, in the place of b + U v_1, and of each factor of v_j

    With two inputs these are the published general, diagonal and scalar forms: of widths 8 and 32, the matrix form to
    40 features has 11,880 parameters, the vector form 576, the scalar form 18. Only pairs are multiplied, so that
    nothing grows with the third power of a width or of an input's values. A single input is left as it is in the vector
    and scalar forms.

    An absent input is zero: in the matrix form, all terms with it are gone; in the others, it sets no factor (V_j is
    left) and has none. Where only the context is present, b + U v_1 is left: little, in the scalar form.

    V_j begins at one.

    Raises:
        ConfigError: too many weights, a context that there is not, or unequal widths where they must be equal.
    """

    Config: ClassVar[type] = BilinearConfig
    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "is zero, and so is every product with it"

    def __init__(self, config: BilinearConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        width = config.input_width if config.form == "matrix" else config.width
        self.inputs = EachInput(widths, width=width if config.project else None)
        names = self.inputs.names
        if config.context is not None:
            require_input("Fusion 'bilinear': context", config.context, names)
        first = names.index(config.context) if config.context is not None else 0
        self.order = [first, *(k for k in range(len(widths)) if k != first)]
        ordered = {names[k]: self.inputs.widths[k] for k in self.order}
        if config.form == "matrix":
            self.width = config.width
            _refuse_too_many(ordered, config)
            self.interaction: nn.Module = _Matrix(list(ordered.values()), self.width)
        else:
            self.width = equal_width(dict(list(ordered.items())[1:] or ordered.items()))
            self.interaction = _Factors(list(ordered.values()), self.width if config.form == "vector" else 1)

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.inputs(tokens)  # zeros where absent
        return Tokens.vector(self.interaction([vectors[k] for k in self.order]), present.any(dim=1))


class _Matrix(nn.Module):
    """The matrix form; every W_ij is held flat, "(D_i D_j) width"."""

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(sum(widths), width)  # all U_i side by side, and b
        with torch.no_grad():  # each U_i begins as a Linear layer by itself
            bounds = torch.cat([torch.full((before,), before**-0.5) for before in widths])
            self.linear.weight.uniform_(-1, 1).mul_(bounds)
        sizes = [before * after for before, after in combinations(widths, 2)]
        self.weights = nn.ParameterList(torch.empty(size, width).uniform_(-(size**-0.5), size**-0.5) for size in sizes)

    def forward(self, vectors: list[Float[Tensor, "B _"]]) -> Float[Tensor, "B E"]:
        result: Tensor = self.linear(torch.cat(vectors, dim=1))
        for (z, x), weight in zip(combinations(vectors, 2), self.weights, strict=True):
            result = result + (z.unsqueeze(2) * x.unsqueeze(1)).flatten(1) @ weight
        return result


class _Factors(nn.Module):
    """The vector and the scalar form: `numbers` factors for each input but the first."""

    def __init__(self, widths: Sequence[int], numbers: int) -> None:
        super().__init__()
        if len(widths) > 1:
            self.shift = nn.Linear(widths[0], numbers)  # U and b
        factors = [nn.Linear(sum(widths[:j]), numbers) for j in range(1, len(widths))]  # W_j and V_j
        for factor in factors:
            nn.init.ones_(factor.bias)
        self.factors = nn.ModuleList(factors)

    def forward(self, vectors: list[Float[Tensor, "B _"]]) -> Float[Tensor, "B E"]:
        if len(vectors) == 1:
            return vectors[0]
        scaled = [
            vector * factor(torch.cat(vectors[:j], dim=1))
            for j, (vector, factor) in enumerate(zip(vectors[1:], self.factors, strict=True), start=1)
        ]
        result: Tensor = torch.stack(scaled).sum(dim=0) + self.shift(vectors[0])
        return result


def _refuse_too_many(widths: Mapping[str, int], config: BilinearConfig) -> None:
    number = config.width * sum(before * after for before, after in combinations(widths.values(), 2))
    if number > _MOST_WEIGHTS:
        listed = ", ".join(f"{name} {width}" for name, width in widths.items())
        narrower = "Lower fusion.input_width" if config.project else "Set fusion.project to true"
        raise ConfigError(
            f"Fusion 'bilinear': the matrix form of {len(widths)} inputs (widths: {listed}) has {number:,} weights; at "
            f"most {_MOST_WEIGHTS:,} are allowed. {narrower}, set fusion.form to vector, or choose fusion low_rank."
        )
