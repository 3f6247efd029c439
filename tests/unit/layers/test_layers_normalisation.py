import numpy as np
import pytest
import torch
from torch import nn

from polymodal.layers.normalisation import MaskedGroupNorm, PixelNorm, group_norm, num_groups, standardise_rows
from polymodal.layers.pooling import lengths_to_mask

LENGTHS = torch.tensor([6, 2, 5])


@pytest.mark.parametrize("per_feature", [False, True])
def test_standardise_rows_equals_numpy_on_each_row_cut_to_its_length(per_feature):
    values = torch.randn(3, 6, 4) * 7 - 30
    result = standardise_rows(values, lengths_to_mask(LENGTHS, 6), per_feature=per_feature)
    for row, length in enumerate(LENGTHS.tolist()):
        real = values[row, :length].double().numpy()
        axis = 0 if per_feature else None
        expected = (real - real.mean(axis=axis)) / np.sqrt(real.var(axis=axis) + 1e-5)
        np.testing.assert_allclose(result[row, :length], expected, rtol=1e-4, atol=1e-5)
        assert not result[row, length:].any()


def test_standardise_rows_of_one_value_or_no_step_is_finite():
    result = standardise_rows(torch.full((2, 3, 4), 5.0), lengths_to_mask(torch.tensor([3, 0]), 3))
    assert torch.isfinite(result).all()


def test_masked_group_norm_equals_group_norm_on_each_row_cut_to_its_length():
    norm, reference = MaskedGroupNorm(16), nn.GroupNorm(num_groups(16), 16)
    for parameter, other in zip(norm.parameters(), reference.parameters(), strict=True):
        parameter.data.normal_()
        other.data = parameter.data
    maps = torch.randn(3, 16, 6, 5) * 3 + 2
    result = norm(maps, lengths_to_mask(LENGTHS, 6))
    for row, length in enumerate(LENGTHS.tolist()):
        expected = reference(maps[row : row + 1, :, :length])[0]
        torch.testing.assert_close(result[row, :, :length], expected, rtol=1e-4, atol=1e-5)
    whole = norm(maps, lengths_to_mask(torch.full((3,), 6), 6))
    torch.testing.assert_close(norm(maps, None), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 6, 8, 12, 48, 64, 512])
def test_groups_divide_the_channels(channels):
    assert channels % num_groups(channels) == 0
    assert group_norm(channels)(torch.randn(2, channels, 3, 3)).shape == (2, channels, 3, 3)


def test_pixel_norm_gives_zero_at_the_mean_and_one_a_deviation_above():
    norm = PixelNorm((0.2, 0.4, 0.6), (0.2, 0.2, 0.4))
    pixels = torch.tensor([51, 102, 153], dtype=torch.uint8).view(1, 3, 1, 1)
    torch.testing.assert_close(norm(pixels), torch.zeros(1, 3, 1, 1), atol=1e-6, rtol=0)
    brighter = torch.tensor([102, 153, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    torch.testing.assert_close(norm(brighter), torch.ones(1, 3, 1, 1))
