"""What the vector fusions are known for: published numbers of parameters, identities, limits, and that they learn."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from polymodal import registry
from polymodal.config.run_config import Part, part_settings
from polymodal.errors import ConfigError
from polymodal.types import Tokens

NEW = ["bilinear", "gated", "low_rank", "mixture", "polynomial", "tensor"]


def build(name: str, widths: dict[str, int], **settings) -> nn.Module:
    torch.manual_seed(0)
    return registry.load("fusions", name)(part_settings("fusions", Part(name=name, **settings)), widths=widths)


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def some(widths: dict[str, int], *, rows: int = 5, absent: tuple[str, ...] = (), dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return {
        name: Tokens.vector(
            torch.randn(rows, width, generator=generator, dtype=dtype), torch.full((rows,), name not in absent)
        )
        for name, width in widths.items()
    }


# ------------------------------------------------------------------------------------------------------ bilinear


@pytest.mark.parametrize(("form", "number"), [("matrix", 11_880), ("vector", 576), ("scalar", 18)])
def test_bilinear_has_the_published_numbers_of_parameters(form, number):
    fusion = build("bilinear", {"a": 8, "b": 32}, width=40, project=False, form=form)
    assert num_parameters(fusion) == number
    assert fusion.width == (40 if form == "matrix" else 32)


@pytest.mark.parametrize("form", ["matrix", "vector", "scalar"])
def test_bilinear_of_three_inputs_gives_one_vector_a_row(form):
    """MultiBench's MultiplicativeInteractions3Modal gives B x B x out."""
    widths = {"a": 4, "b": 4, "c": 4}
    assert build("bilinear", widths, width=7, form=form)(some(widths)).values.shape == (5, 1, 7)


def test_the_context_of_bilinear_may_have_a_width_of_its_own():
    widths = {"a": 3, "b": 3, "sensor": 9}
    fusion = build("bilinear", widths, project=False, form="vector", context="sensor")
    assert fusion.width == 3
    with pytest.raises(ConfigError, match=r"unequal width \(b 3, sensor 9\)"):
        build("bilinear", widths, project=False, form="vector")


def test_bilinear_without_its_context_scales_the_others_by_what_it_learned():
    widths = {"a": 3, "b": 3}
    fusion = build("bilinear", widths, project=False, form="vector", context="b")
    tokens = some(widths, absent=("b",))
    assert torch.allclose(fusion(tokens).values, tokens["a"].values + fusion.interaction.shift.bias)  # V begins at one


def test_bilinear_refuses_a_context_that_there_is_not():
    with pytest.raises(ConfigError, match=r"'phot'.*Did you mean 'photo'"):
        build("bilinear", {"photo": 3, "note": 3}, form="vector", context="phot")


def test_bilinear_refuses_a_matrix_form_that_is_too_large_and_says_what_to_do():
    with pytest.raises(ConfigError, match=r"75,497,472 weights.*fusion.project to true.*form to vector.*low_rank"):
        build("bilinear", {"text": 768, "image": 768}, project=False)


# ------------------------------------------------------------------------------------------- tensor and low_rank


def test_low_rank_registers_all_47_parameters():
    """Of which MultiBench and PyKale register three."""
    assert num_parameters(build("low_rank", {"a": 10, "b": 10}, width=2, rank=1, project=False)) == 47


def test_low_rank_is_tensor_fusion_with_a_sum_of_products_as_weights():
    widths = {"a": 2, "b": 3, "c": 4}
    low_rank = build("low_rank", widths, width=5, rank=3, project=False).double()
    tensor = build("tensor", widths, width=5, project=False).double()
    with torch.no_grad():
        for parameter in low_rank.parameters():
            parameter.normal_()
        first, second, third = low_rank.factors
        weights = torch.zeros(3 * 4 * 5, 5, dtype=torch.float64)
        for r in range(3):  # 1 first, row by row: the last input runs fastest
            product = torch.einsum("io,jo,ko->ijko", first[r], second[r], third[r])
            weights += low_rank.weights[r] * product.reshape(-1, 5)
        tensor.linear.weight.copy_(weights.T)
        tensor.linear.bias.copy_(low_rank.bias)
    for absent in [(), ("a",), ("b", "c")]:
        tokens = some(widths, absent=absent, dtype=torch.float64)
        assert torch.allclose(low_rank(tokens).values, tensor(tokens).values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("num_inputs", "width"), [(1, 32), (2, 32), (3, 11), (4, 5), (6, 2), (11, 1), (13, 1)])
def test_tensor_takes_the_widest_inputs_that_fit(num_inputs, width):
    fusion = build("tensor", {f"input_{k:02}": 50 for k in range(num_inputs)}, width=2)
    assert fusion.inputs.widths == [width] * num_inputs
    assert fusion.linear.in_features == (width + 1) ** num_inputs


def test_tensor_refuses_a_product_that_explodes_and_names_low_rank():
    widths = dict.fromkeys("abcd", 40)
    with pytest.raises(ConfigError, match=r"4 inputs \(widths: a 32, b 32.*1,185,921 features.*input_width.*low_rank"):
        build("tensor", widths, input_width=32)
    with pytest.raises(ConfigError, match=r"2,825,761 features.*project to true.*low_rank"):
        build("tensor", widths, project=False)


def test_an_absent_input_leaves_the_products_of_the_others():
    widths = {"a": 2, "b": 3}
    fusion = build("tensor", widths, width=4, project=False)
    tokens = some(widths, absent=("b",))
    kept = fusion.linear.weight.view(4, 3, 4)[:, :, 0]  # those with the one of b
    expected = torch.cat([torch.ones(5, 1), tokens["a"].values[:, 0]], dim=1) @ kept.T + fusion.linear.bias
    assert torch.allclose(fusion(tokens).values[:, 0], expected, atol=1e-6)


# ---------------------------------------------------------------------------------------------------- polynomial


def test_the_scalar_polynomial_of_three_numbers_is_a_regression_with_interactions():
    fusion = build("polynomial", {"audio": 1, "image": 1, "text": 1}, project=False, form="scalar").double()
    assert fusion.terms == [
        ("audio",), ("image",), ("text",), ("audio", "image"), ("audio", "text"), ("image", "text"),
        ("audio", "image", "text"),
    ]  # fmt: skip
    b = {(): 0.5, **{term: 2.0 + k for k, term in enumerate(fusion.terms)}}
    with torch.no_grad():
        fusion.bias.fill_(b[()])
        fusion.coefficients.copy_(torch.tensor([[b[term]] for term in fusion.terms]))
    tokens = some({"audio": 1, "image": 1, "text": 1}, dtype=torch.float64)
    a, i, t = (tokens[name].values[:, 0] for name in ("audio", "image", "text"))
    expected = 0.5 + 2 * a + 3 * i + 4 * t + 5 * a * i + 6 * a * t + 7 * i * t + 8 * a * i * t
    assert torch.allclose(fusion(tokens).values[:, 0], expected)
    without = {**tokens, "image": tokens["image"].where_present(torch.zeros(5, dtype=torch.bool))}
    assert torch.allclose(fusion(without).values[:, 0], 0.5 + 2 * a + 4 * t + 6 * a * t)


def test_the_polynomial_refuses_too_many_terms_and_says_which_degree_is_possible():
    widths = {f"input_{k}": 2 for k in range(9)}
    with pytest.raises(ConfigError, match=r"9 inputs to degree 9 make 511 terms.*fusion\.degree to 4 or less"):
        build("polynomial", widths)
    assert len(build("polynomial", widths, degree=4).terms) == 255
    with pytest.raises(ConfigError, match="drop columns"):
        build("polynomial", {f"input_{k}": 2 for k in range(300)}, degree=1)


# ---------------------------------------------------------------------------------------------- gated and mixture


def test_two_gated_inputs_share_one_gate():
    widths = {"a": 3, "b": 4}
    fusion, tokens = build("gated", widths, width=5), some(widths)
    x = [project(tokens[name]) for name, project in zip("ab", fusion.inputs.projections, strict=True)]
    z = torch.sigmoid(fusion.gates(torch.cat(x, dim=1)))
    h = [torch.tanh(candidate[0](vector)) for candidate, vector in zip(fusion.candidates, x, strict=True)]
    assert torch.allclose(fusion(tokens).values[:, 0], z * h[0] + (1 - z) * h[1], atol=1e-6)


@pytest.mark.parametrize("name", ["gated", "mixture"])
@pytest.mark.parametrize("score", [-200.0, 0.0, 200.0])
def test_of_two_inputs_the_one_that_is_there_counts_fully_even_where_its_gate_is_all_but_shut(name, score):
    widths = {"a": 3, "b": 3}
    fusion = build(name, widths, project=False)
    with torch.no_grad():
        gate = fusion.gates if name == "gated" else fusion.gate
        gate.bias[: 3 if name == "gated" else 1] = score
    for absent, left in [("a", "b"), ("b", "a")]:
        tokens = some(widths, absent=(absent,))
        fused = fusion(tokens).values
        assert torch.allclose(fused, tokens[left].values, atol=1e-6)
        fused.sum().backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in fusion.parameters())


def test_more_gates_than_two_are_free_and_share_what_an_absent_one_would_let_through():
    widths = dict.fromkeys("abc", 2)
    fusion = build("gated", widths, project=False)
    nn.init.zeros_(fusion.gates.weight)
    nn.init.zeros_(fusion.gates.bias)  # all gates at one half: together 1.5
    tokens = some(widths)
    a, b, c = (tokens[name].values for name in "abc")
    assert torch.allclose(fusion(tokens).values, (a + b + c) / 2, atol=1e-6)
    assert torch.allclose(fusion(some(widths, absent=("b",))).values, 1.5 * (a + c) / 2, atol=1e-6)


def test_without_projection_gates_need_inputs_of_one_width():
    for name in ("gated", "mixture"):
        with pytest.raises(ConfigError, match=r"unequal width \(a 2, b 3\)"):
            build(name, {"a": 2, "b": 3}, project=False)


# ------------------------------------------------------------------------------------------------ all of the new


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("num_inputs", [1, 2, 8])
def test_it_begins_at_a_size_that_can_be_learned_from_however_many_and_loud_the_inputs_are(name, num_inputs):
    widths = {f"input_{k}": 16 for k in range(num_inputs)}
    fusion, tokens = build(name, widths), some(widths, rows=200)
    loud = {key: Tokens(1e4 * model_input.values, model_input.mask) for key, model_input in tokens.items()}
    for given in (tokens, loud):
        assert 0.05 < fusion(given).values.std() < 20


def accuracy_after_learning(name: str, widths: dict[str, int], target) -> float:
    """Of a linear classifier on what the fusion gives, after 200 steps with the optimizer of the defaults."""
    fusion = build(name, widths, width=16)
    model = nn.ModuleList([fusion, nn.Linear(fusion.width, 1)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    generator = torch.Generator().manual_seed(0)

    def scores_and_truth(rows: int):
        values = {key: torch.randn(rows, width, generator=generator) for key, width in widths.items()}
        fused = fusion({key: Tokens.vector(model_input) for key, model_input in values.items()})
        return model[1](fused.values[:, 0])[:, 0], target(**values)

    for _ in range(200):
        scores, truth = scores_and_truth(64)
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(scores, truth.float()).backward()
        optimizer.step()
    scores, truth = scores_and_truth(1000)
    return float(((scores > 0) == truth).float().mean())


def rises(values: torch.Tensor) -> torch.Tensor:
    return values[:, 1] > values[:, 0]


MULTIPLYING = ["bilinear", "gated", "low_rank", "polynomial", "product", "tensor"]


@pytest.mark.parametrize("name", [*MULTIPLYING, "sum"])
def test_it_learns_that_two_inputs_agree_which_no_sum_can(name):
    accuracy = accuracy_after_learning(name, {"a": 4, "b": 4}, lambda a, b: rises(a) == rises(b))
    assert accuracy > 0.9 if name in MULTIPLYING else accuracy < 0.6


@pytest.mark.parametrize("name", ["gated", "mixture", "average"])
def test_it_learns_from_one_input_whom_of_the_others_to_believe(name):
    accuracy = accuracy_after_learning(
        name, {"flag": 4, "left": 4, "right": 4},
        lambda flag, left, right: torch.where(rises(flag), rises(left), rises(right)),
    )  # fmt: skip
    assert accuracy > 0.85 if name != "average" else accuracy < 0.8


@pytest.mark.parametrize("name", NEW)
def test_it_is_a_part_with_its_formula_in_the_docstring(name):
    documented = registry.load("fusions", name).__doc__
    assert re.search(r"y = ", documented)
    assert re.search(r"\((\w+ )+et al\. (19|20)\d\d|et al\. (19|20)\d\d", documented)
    assert "absent input" in documented or "A term is gone" in documented


def test_numbers_of_a_gate_are_those_of_the_formula_in_numpy():
    """Three gates, one row, by hand."""
    widths = dict.fromkeys("abc", 1)
    fusion = build("gated", widths, project=False)
    with torch.no_grad():
        fusion.gates.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 2.0, 0], [0, 0, -1.0]]))
        fusion.gates.bias.zero_()
    values = {"a": 0.5, "b": -1.0, "c": 2.0}
    tokens = {name: Tokens.vector(torch.tensor([[value]])) for name, value in values.items()}
    z = 1 / (1 + np.exp(-np.array([0.5, -2.0, -2.0])))
    assert fusion(tokens).values.item() == pytest.approx(float(z @ [0.5, -1.0, 2.0]), rel=1e-6)
