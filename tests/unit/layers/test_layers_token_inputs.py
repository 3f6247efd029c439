import numpy as np
import pytest
import torch

from polymodal.errors import ConfigError
from polymodal.layers.token_inputs import TokenInputs, in_one_row, left_aligned, mean_of_means, with_first
from polymodal.types import Tokens


def tokens(mask: list[list[int]], start: float = 1.0) -> Tokens:
    """Tokens of width 2 that count upwards."""
    real = torch.tensor(mask, dtype=torch.bool)
    return Tokens(start + torch.arange(real.numel() * 2, dtype=torch.float32).view(*real.shape, 2), real)


def test_left_aligned_keeps_the_order_and_puts_real_tokens_first():
    given = tokens([[1, 0, 1, 1, 0], [0, 0, 0, 0, 1], [0] * 5, [1] * 5])
    found = left_aligned(given)
    for row in range(4):
        real = given.values[row][given.mask[row]]
        assert found.mask[row].tolist() == [True] * len(real) + [False] * (5 - len(real))
        assert torch.equal(found.values[row, : len(real)], real)
        assert not found.values[row, len(real) :].any()


def test_with_first_adds_a_token_to_the_rows_that_have_any():
    found = with_first(torch.tensor([7.0, 8.0]), tokens([[1, 1], [0, 0], [1, 0]]))
    assert found.mask.tolist() == [[True, True, True], [False] * 3, [True, True, False]]
    assert found.values[:, 0].tolist() == [[7.0, 8.0]] * 3


def test_mean_of_means_gives_long_and_short_inputs_the_same_weight():
    long, short = tokens([[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 0, 0]]), tokens([[1], [0], [1], [0]], start=100.0)
    found = mean_of_means([long, short]).numpy()
    means = [long.values[0].numpy().mean(axis=0), long.values[1, :2].numpy().mean(axis=0)]
    singles = short.values[:, 0].numpy()
    np.testing.assert_allclose(found, [(means[0] + singles[0]) / 2, means[1], singles[2], [0.0, 0.0]])


def test_in_one_row_keeps_every_token():
    row = in_one_row([tokens([[1, 0]]), tokens([[1]])])
    assert row.values.shape == (1, 3, 2) and row.mask.tolist() == [[True, False, True]]


def test_inputs_are_sorted_by_name_and_what_is_masked_stays_out():
    torch.manual_seed(0)
    layer = TokenInputs({"b.keys": 2, "a": 2}, width=4)
    assert layer.names == ["a", "b.keys"]
    given = tokens([[1, 0], [1, 1]])
    loud = Tokens(given.values.masked_fill(~given.mask.unsqueeze(2), torch.nan), given.mask)
    first, second = layer({"b.keys": given, "a": given}), layer({"a": loud, "b.keys": loud})
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.values, other.values) and torch.isfinite(other.values).all()
    assert not torch.allclose(first[0].values, first[1].values)


def test_an_input_is_told_by_its_embedding():
    layer = TokenInputs({"a": 2, "b": 2}, width=4)
    torch.nn.init.zeros_(layer.linears[1].weight)
    of_b = layer({"a": tokens([[1]]), "b": tokens([[1]])})[1]
    assert torch.equal(of_b.values[0, 0], layer.embeddings[1])


def test_no_input_at_all_is_refused():
    with pytest.raises(ConfigError, match="at least one input"):
        TokenInputs({}, width=4)
