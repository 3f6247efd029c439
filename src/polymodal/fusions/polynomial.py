"""A polynomial of the inputs: bias, each input, and the products of two, three ... of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from polymodal.errors import ConfigError
from polymodal.layers.projection import StackConfig, StackFusion
from polymodal.types import Tokens

_MOST_TERMS = 255  # all of eight inputs


@dataclass(frozen=True)
class PolynomialConfig(StackConfig):
    """Settings of `Polynomial`, besides those of `StackConfig`.

    Attributes:
        degree: most inputs in one product; None: as many as there are.
        form: what is learned for each term: `vector`, a number for each feature, or `scalar`, one number.
    """

    degree: PositiveInt | None = None
    form: Literal["vector", "scalar"] = "vector"


class Polynomial(StackFusion):
    """y = b + sum of w_S * (product of v_i over the inputs i in S) over all sets S of at most `degree` inputs.

    v_i: pooled and projected, "B D"; all products feature by feature; y: "B D". With the inputs T, I and A:
    y = b0 + b1 T + b2 I + b3 A + b4 (T.I) + b5 (T.A) + b6 (I.A) + b7 (T.I.A). In the vector form every b is a vector
    of D numbers, in the scalar form one number. With `width: 1` every input is one number, too, and this is the
    regression with interaction terms (additive and multiplicative fusion in Liang et al. 2022, arXiv 2209.03430).

    A term is gone in the rows in which one of its inputs is absent; where all are, b is left.

    All weights w_S begin at one. The projected inputs have a variance of 1/3 then, so products of more inputs begin
    smaller, and y does not grow above a deviation of (4/3)^(M/2): 3 for eight inputs.

    Attributes:
        terms: the names of the inputs in each term, in the order of `coefficients`.

    Raises:
        ConfigError: too many terms.
    """

    Config: ClassVar[type] = PolynomialConfig
    keeps_time: ClassVar[bool] = False
    when_absent: ClassVar[str] = "removes every term that contains it"

    def __init__(self, config: PolynomialConfig, *, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths=widths)
        num_inputs = len(self.stack.names)
        degree = min(config.degree or num_inputs, num_inputs)
        _refuse_too_many(num_inputs, degree)
        self._sets = [s for size in range(1, degree + 1) for s in combinations(range(num_inputs), size)]
        self.terms = [tuple(self.stack.names[i] for i in s) for s in self._sets]
        numbers = self.width if config.form == "vector" else 1
        self.coefficients = nn.Parameter(torch.ones(len(self._sets), numbers))
        self.bias = nn.Parameter(torch.zeros(numbers))

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        vectors, present = self.stack(tokens)  # zeros where absent: with one factor a whole term is zero
        products: dict[tuple[int, ...], Tensor] = {}
        for chosen in self._sets:  # the smaller first: all but the last factor are multiplied already
            *others, last = chosen
            products[chosen] = products[tuple(others)] * vectors[:, last] if others else vectors[:, last]
        terms = torch.stack(list(products.values()), dim=1)
        return Tokens.vector((self.coefficients * terms).sum(dim=1) + self.bias, present.any(dim=1))


def _refuse_too_many(num_inputs: int, degree: int) -> None:
    def terms_to(highest: int) -> int:
        return sum(comb(num_inputs, size) for size in range(1, highest + 1))

    if terms_to(degree) > _MOST_TERMS:
        fitting = max((d for d in range(1, degree) if terms_to(d) <= _MOST_TERMS), default=None)
        advice = "drop columns" if fitting is None else f"set fusion.degree to {fitting} or less"
        raise ConfigError(
            f"Fusion 'polynomial': {num_inputs} inputs to degree {degree} make {terms_to(degree):,} terms; at most "
            f"{_MOST_TERMS} are allowed: {advice}, or choose fusion low_rank."
        )
