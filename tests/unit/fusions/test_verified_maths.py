"""Every vector fusion against its formula, written out for single rows in `naive.py`; its number of parameters; more.

A fusion is checked here by a line in `CASES`: its settings, the formula, and how many parameters it has. D is the list
of the inputs' widths, w that of the result.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from math import comb, prod
from typing import Any

import naive
import numpy as np
import pytest
import torch
from torch import nn

from polymodal import registry
from polymodal.config.run_config import Part, part_settings
from polymodal.types import Tokens

UNEQUAL = {"a": 3, "b": 2, "c": 4}
EQUAL = {"a": 3, "b": 3, "c": 3}
TWO = {"a": 3, "b": 2}
TWO_EQUAL = {"a": 3, "b": 3}


def projected(widths: list[int], width: int) -> int:
    """LayerNorm and Linear for each input."""
    return sum(2 * d + d * width + width for d in widths)


@dataclass(frozen=True)
class Case:
    """One fusion with settings.

    Attributes:
        name: of the fusion.
        formula: of one row.
        count: widths of the inputs and of the result -> number of parameters.
        settings: as a user writes them.
        widths: of the inputs.
    """

    name: str
    formula: Callable[..., np.ndarray]
    count: Callable[[list[int], int], int]
    settings: dict[str, Any] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=lambda: UNEQUAL)

    def build(self, seed: int = 0, *, widths: dict[str, int] | None = None) -> nn.Module:
        """In float64, every parameter random: what begins as zero or one could hide a mistake."""
        torch.manual_seed(seed)
        settings = part_settings("fusions", Part(name=self.name, **{"width": 4, **self.settings}))
        fusion = registry.load("fusions", self.name)(settings, widths=widths or self.widths).double().eval()
        with torch.no_grad():
            for parameter in fusion.parameters():
                parameter.normal_()
        return fusion

    def __str__(self) -> str:
        said = [f"{key}={value}" for key, value in self.settings.items()]
        return "-".join([self.name, str(len(self.widths)), *said])


AS_THEY_ARE: dict[str, Any] = {"project": False}
NARROW: dict[str, Any] = {"input_width": 3}

CASES = [
    Case("concat", naive.concat, lambda D, w: projected(D, w // 3) + w),
    Case("concat", naive.concat, lambda D, w: w, AS_THEY_ARE, EQUAL),
    Case("average", naive.average, projected, {"weights": {"b": 2.5}}),
    Case("average", naive.average, lambda D, w: 0, AS_THEY_ARE, EQUAL),
    Case("sum", naive.sum_, projected),
    Case("sum", naive.sum_, lambda D, w: 0, AS_THEY_ARE, EQUAL),
    Case("product", naive.product_, projected),
    Case("product", naive.product_, lambda D, w: 0, AS_THEY_ARE, EQUAL),
    Case("max", naive.max_, projected),
    Case("max", naive.max_, lambda D, w: 0, AS_THEY_ARE, EQUAL),
    Case("weighted", naive.weighted, lambda D, w: projected(D, w) + 3),
    Case("weighted", naive.weighted, lambda D, w: 3, AS_THEY_ARE, EQUAL),
    Case("polynomial", naive.polynomial, lambda D, w: projected(D, w) + 8 * w),
    Case("polynomial", naive.polynomial, lambda D, w: 8 * w, AS_THEY_ARE, EQUAL),
    Case("polynomial", naive.polynomial, lambda D, w: 8, AS_THEY_ARE | {"form": "scalar"}, EQUAL),
    Case("polynomial", naive.polynomial, lambda D, w: w * (1 + 3 + comb(3, 2)), AS_THEY_ARE | {"degree": 2}, EQUAL),
    Case("gated", naive.gated, lambda D, w: sum(3 * d + w * d + w for d in D) - sum(D) + 3 * w * (sum(D) + 1)),
    Case("gated", naive.gated, lambda D, w: sum(2 * d + w * d + w for d in D) + w * (sum(D) + 1), widths=TWO),
    Case("gated", naive.gated, lambda D, w: 3 * w * (sum(D) + 1), AS_THEY_ARE, EQUAL),
    Case("gated", naive.gated, lambda D, w: w * (sum(D) + 1), AS_THEY_ARE, TWO_EQUAL),
    Case("bilinear", naive.bilinear, lambda D, w: projected(D, 3) + 3 * 9 * w + 9 * w + w, NARROW),
    Case(
        "bilinear",
        naive.bilinear,
        lambda D, w: w * (sum(a * b for a, b in combinations(D, 2)) + sum(D) + 1),
        AS_THEY_ARE,
    ),
    Case("bilinear", naive.bilinear, lambda D, w: projected(D, w) + 4 * w * w + 3 * w, {"form": "vector"}),
    Case(
        "bilinear",
        naive.bilinear,
        lambda D, w: projected(D, w) + 4 * w + 3,
        {"form": "scalar", "context": "b"},
    ),
    Case("bilinear", naive.bilinear, lambda D, w: 2 * 3 * 2 + 2 * 2, AS_THEY_ARE | {"form": "vector"}, TWO),
    Case("bilinear", naive.bilinear, lambda D, w: 2 * 3 + 2, AS_THEY_ARE | {"form": "scalar"}, TWO),
    Case("tensor", naive.tensor, lambda D, w: projected(D, 3) + 4**3 * w + w, NARROW),
    Case("tensor", naive.tensor, lambda D, w: prod(d + 1 for d in D) * w + w, AS_THEY_ARE),
    Case("low_rank", naive.low_rank, lambda D, w: projected(D, 3) + 2 * w * 12 + 2 + w, NARROW | {"rank": 2}),
    Case("low_rank", naive.low_rank, lambda D, w: 5 * w * sum(d + 1 for d in D) + 5 + w, AS_THEY_ARE | {"rank": 5}),
    Case(
        "mixture",
        naive.mixture,
        lambda D, w: sum(2 * d + 5 * d + 5 + 10 + 5 * w + w for d in D) + 3 * sum(D) + 3,
        {"hidden": 5},
    ),
    Case("mixture", naive.mixture, lambda D, w: projected(D, w) + 3 * sum(D) + 3),
    Case("mixture", naive.mixture, lambda D, w: 3 * sum(D) + 3, AS_THEY_ARE, EQUAL),
]
each_case = pytest.mark.parametrize("case", CASES, ids=str)


def rows_for(case: Case) -> tuple[dict[str, Tokens], list[naive.Row]]:
    """Every combination of present and absent inputs, as a batch with NaN where it is masked, and row by row."""
    rng = np.random.default_rng(0)
    num_rows = 2 ** len(case.widths)
    tokens, rows = {}, [{} for _ in range(num_rows)]
    for place, (name, width) in enumerate(case.widths.items()):
        lengths = [0 if row >> place & 1 else 1 + (row + place) % 3 for row in range(num_rows)]
        values = np.full((num_rows, 3, width), np.nan)
        for row, length in enumerate(lengths):
            values[row, :length] = rng.normal(size=(length, width))
            rows[row][name] = values[row, :length].copy() if length else None
        mask = torch.arange(3) < torch.tensor(lengths).unsqueeze(1)
        tokens[name] = Tokens(torch.from_numpy(values), mask)
    return tokens, rows


@each_case
def test_every_row_is_what_the_formula_says(case):
    fusion = case.build()
    tokens, rows = rows_for(case)
    fused = fusion(tokens)
    weights = {name: parameter.detach().numpy() for name, parameter in fusion.named_parameters()}
    assert fused.present.tolist() == [any(cell is not None for cell in row.values()) for row in rows]
    assert torch.isfinite(fused.values).all()
    for row, values in zip(rows, fused.values[:, 0].detach().numpy(), strict=True):
        if any(cell is not None for cell in row.values()):
            expected = case.formula(weights, row, case.widths, case.settings)
            assert values.shape == expected.shape == (fusion.width,)
            np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-12)


@each_case
def test_it_has_as_many_parameters_as_its_formula_all_of_them_in_the_state(case):
    fusion = case.build()
    number = case.count(list(case.widths.values()), fusion.width)
    assert sum(parameter.numel() for parameter in fusion.parameters()) == number
    assert sum(tensor.numel() for tensor in fusion.state_dict().values()) == number


@each_case
def test_every_gradient_is_that_of_finite_differences(case):
    fusion, (tokens, _) = case.build(), rows_for(case)
    parameters = dict(fusion.named_parameters())

    def result(*values):
        return torch.func.functional_call(fusion, dict(zip(parameters, values, strict=True)), (tokens,)).values[:-1]

    if parameters:
        assert torch.autograd.gradcheck(result, tuple(parameters.values()), fast_mode=True)
    result(*parameters.values()).square().sum().backward() if parameters else None
    assert [name for name, parameter in parameters.items() if not parameter.grad.any()] == []


@each_case
def test_the_state_of_one_makes_another_the_same(case):
    first, second = case.build(seed=0), case.build(seed=1)
    tokens, _ = rows_for(case)
    second.load_state_dict(first.state_dict(), strict=True)
    assert torch.equal(first(tokens).values, second(tokens).values)


@each_case
def test_the_order_of_the_columns_is_nothing(case):
    fusion, (tokens, _) = case.build(), rows_for(case)
    reordered = case.build(seed=1, widths=dict(reversed(case.widths.items())))
    reordered.load_state_dict(fusion.state_dict())
    assert torch.equal(reordered(dict(reversed(tokens.items()))).values, fusion(tokens).values)


def test_every_fusion_of_vectors_has_a_case():
    own = {name for name in registry.names("fusions") if registry.load("fusions", name).__module__[:9] == "polymodal"}
    of_tokens = {"attention", "bottleneck", "cross_attention"}  # their formulas: test_token_fusions.py
    assert own - of_tokens == {case.name for case in CASES}
