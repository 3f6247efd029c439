import pytest
import torch

from polymodal.errors import ConfigError
from polymodal.layers.projection import EachInput, StackInputs, prepend_one
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


def test_each_input_keeps_its_width_and_is_normed_where_that_is_wanted():
    tokens = {"b": Tokens.vector(torch.randn(2, 4)), "a": Tokens.vector(torch.randn(2, 3), torch.tensor([True, False]))}
    normed, as_it_is = (EachInput({"b": 4, "a": 3}, width=None, norm=norm) for norm in (True, False))
    assert normed.names == ["a", "b"]
    assert normed.widths == [3, 4]
    assert len(list(as_it_is.parameters())) == 0
    (_, b), real = normed(tokens)
    assert real.tolist() == [[True, True], [False, True]]
    torch.testing.assert_close(b, torch.nn.functional.layer_norm(tokens["b"].values[:, 0], (4,)))
    with torch.no_grad():
        normed.projections[0].norm.bias.fill_(1.0)
    assert not normed(tokens)[0][0][1].any()  # an absent input is zero even where the norm has learned an offset
    assert torch.equal(as_it_is(tokens)[0][0][0], tokens["a"].values[0, 0])


def test_each_input_projects_as_a_stack_does():
    widths = {"a": 3, "b": 4}
    each, stack = EachInput(widths, width=5), StackInputs(widths, width=5)
    each.load_state_dict(stack.state_dict())
    tokens = {name: Tokens.vector(torch.randn(2, width)) for name, width in widths.items()}
    assert each.widths == [5, 5]
    assert torch.equal(torch.stack(each(tokens)[0], dim=1), stack(tokens)[0])


def test_each_input_refuses_no_input():
    with pytest.raises(ConfigError, match="at least one input"):
        EachInput({}, width=4)


def test_the_one_comes_first():
    assert prepend_one(torch.tensor([[2.0, 3.0]])).tolist() == [[1.0, 2.0, 3.0]]
