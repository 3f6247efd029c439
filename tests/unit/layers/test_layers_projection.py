import pytest
import torch

from polymodal.errors import ConfigError
from polymodal.layers.projection import StackInputs
from polymodal.types import Tokens


def test_vectors_are_the_projected_means_in_the_order_of_the_names_and_zero_where_absent():
    stack = StackInputs({"b.x": 4, "a": 3}, width=5)  # a name with a dot, as columns may have
    present = torch.tensor([True, False])
    tokens = {"b.x": Tokens.vector(torch.randn(2, 4)), "a": Tokens.vector(torch.randn(2, 3), present)}
    vectors, real = stack(tokens)
    assert stack.names == ["a", "b.x"]
    assert real.tolist() == [[True, True], [False, True]]
    assert not vectors[1, 0].any()
    projection = stack.projections[1]
    normal = torch.nn.functional.layer_norm(tokens["b.x"].values[:, 0], (4,))
    torch.testing.assert_close(vectors[:, 1], normal @ projection.linear.weight.T + projection.linear.bias)


def test_without_projection_inputs_are_combined_as_they_are():
    stack = StackInputs({"a": 3, "b": 3}, width=None)
    tokens = {name: Tokens.vector(torch.randn(2, 3)) for name in ("a", "b")}
    vectors, _ = stack(tokens)
    assert stack.width == 3
    assert torch.equal(vectors[:, 0], tokens["a"].values[:, 0])
    assert not list(stack.parameters())


def test_unequal_widths_without_projection_are_refused_naming_them():
    with pytest.raises(ConfigError, match=r"a 3, b 4.*project: true"):
        StackInputs({"b": 4, "a": 3}, width=None)


def test_no_input_is_refused():
    with pytest.raises(ConfigError, match="at least one input"):
        StackInputs({}, width=4)
