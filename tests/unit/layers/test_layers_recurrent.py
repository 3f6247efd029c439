import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from polymodal.layers.recurrent import Recurrent, RecurrentSettings, reverse_by_lengths

LENGTHS = torch.tensor([6, 1, 4, 3])
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def torch_twin(layer: Recurrent, cell: str, num_layers: int, bidirectional: bool) -> nn.Module:
    """torch's own multi-layer network with the same weights."""
    half = 8 // 2 if bidirectional else 8
    twin = CELLS[cell](5, half, num_layers=num_layers, bidirectional=bidirectional, batch_first=True)
    for depth in range(num_layers):
        sides = [("", layer.forwards[depth])] + ([("_reverse", layer.backwards[depth])] if bidirectional else [])
        for suffix, side in sides:
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(twin, f"{name}_l{depth}{suffix}").data = getattr(side, f"{name}_l0").data
    return twin


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_equals_torch_on_packed_sequences(cell, num_layers, bidirectional):
    layer = Recurrent(5, RecurrentSettings(cell, width=8, layers=num_layers, bidirectional=bidirectional, dropout=0.0))
    twin = torch_twin(layer, cell, num_layers, bidirectional)
    values = torch.randn(4, 6, 5)
    packed = pack_padded_sequence(values, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(twin(packed)[0], batch_first=True)
    torch.testing.assert_close(layer(values, LENGTHS), expected, rtol=1e-5, atol=1e-6)


def test_reverses_each_row_within_its_length_and_back():
    values = torch.arange(8.0).view(2, 4, 1)
    reversed_values = reverse_by_lengths(values, torch.tensor([3, 4]))
    assert reversed_values.squeeze(-1).tolist() == [[2, 1, 0, 3], [7, 6, 5, 4]]
    assert torch.equal(reverse_by_lengths(reversed_values, torch.tensor([3, 4])), values)


def test_nan_in_the_padding_has_no_influence():
    layer = Recurrent(5, RecurrentSettings(width=8))
    values = torch.randn(4, 6, 5)
    loud = values.clone()
    loud[1, 1:] = torch.nan
    assert torch.equal(layer(loud, LENGTHS), layer(values, LENGTHS))


def test_dropout_is_between_layers_and_only_in_training():
    layer = Recurrent(5, RecurrentSettings(width=8, layers=2, bidirectional=False, dropout=0.9))
    values = torch.randn(4, 6, 5)
    assert not torch.equal(layer(values, LENGTHS), layer(values, LENGTHS))
    layer.eval()
    assert torch.equal(layer(values, LENGTHS), layer(values, LENGTHS))


def test_refuses_an_odd_width_in_two_directions():
    with pytest.raises(ValueError, match="even"):
        Recurrent(5, RecurrentSettings(width=7))
