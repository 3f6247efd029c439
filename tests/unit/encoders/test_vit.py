"""The vision transformer: what it cuts, where its squares stand, and that it learns from small pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import conv2d, cross_entropy

from polymodal.encoders.image.vit import Vit, VitConfig
from polymodal.errors import ConfigError
from polymodal.layers.positions import SinusoidalGrid
from polymodal.modalities.image import Image, ImageConfig
from polymodal.types import Cells

SMALL = {"patch": 4, "width": 16, "layers": 1, "heads": 2, "hidden": 16}


def vit(size: int = 12, **settings) -> Vit:
    torch.manual_seed(0)
    return Vit(VitConfig(**SMALL | settings), Image(ImageConfig(size=size))).eval()


def cells(pixels: torch.Tensor) -> Cells:
    return Cells(pixels, torch.ones(len(pixels), dtype=torch.int64))


def pictures(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_projected_squares_are_a_strided_convolution():
    encoder, pixels = vit(), pictures(2, 3, 12, 12)
    normed = encoder.pixels(pixels)
    squares, num_columns = encoder._cut(normed)
    linear = encoder.project[0]
    kernel = linear.weight.view(16, 3, 4, 4)
    expected = conv2d(normed, kernel, linear.bias, stride=4).flatten(2).transpose(1, 2)
    assert num_columns == 3
    torch.testing.assert_close(linear(squares), expected, rtol=1e-5, atol=1e-5)


def test_a_side_that_is_no_multiple_of_the_square_is_filled_with_grey():
    encoder = vit()
    squares, num_columns = encoder._cut(torch.ones(1, 3, 5, 9))
    assert (squares.shape, num_columns) == ((1, 2 * 3, 3 * 16), 3)
    assert squares.sum() == 3 * 5 * 9
    assert squares[0, 5].sum() == 3 * 1 * 1  # the last: one pixel of the picture


def test_the_grid_adds_waves_of_the_row_and_of_the_column():
    width, rows, columns, deviation = 8, 2, 3, 0.7
    added = SinusoidalGrid(width, deviation=deviation)(torch.zeros(1, rows * columns, width), columns)
    for row in range(rows):
        for column in range(columns):
            expected = []
            for place in (row, column):
                for pair in (0, 2):
                    angle = place / 10_000 ** (pair / (width // 2))
                    expected += [math.sin(angle), math.cos(angle)]
            wanted = deviation * math.sqrt(2) * np.array(expected)
            np.testing.assert_allclose(added[0, row * columns + column].numpy(), wanted, atol=1e-6)


def test_tokens_for_squares_say_how_many_pixels_they_cover():
    tokens = vit(spatial_tokens=True)(cells(pictures(2, 3, 12, 12)))
    assert tokens.values.shape == (2, 9, 16)
    assert vit(spatial_tokens=True).token_span == 4.0
    assert vit().token_span is None


@pytest.mark.parametrize(("size", "patch"), [(32, 4), (64, 8), (96, 12), (20, 3)])
def test_there_are_64_squares_at_most_unless_told_otherwise(size, patch):
    encoder = vit(size=size, patch=None, spatial_tokens=True)
    assert encoder.token_span == patch
    assert encoder(cells(pictures(1, 3, size, size))).values.shape[1] == (-(-size // patch)) ** 2 <= 64


@pytest.mark.parametrize("pool", ["mean", "class"])
def test_one_token_for_a_picture_that_sees_all_of_it(pool):
    encoder, pixels = vit(pool=pool), pictures(1, 3, 12, 12)
    other = pixels.clone()
    other[:, :, 8:, 8:] = 255 - other[:, :, 8:, 8:]
    first, second = encoder(cells(pixels)).values, encoder(cells(other)).values
    assert first.shape == (1, 1, 16)
    assert not torch.allclose(first, second)


def test_places_count():
    """Squares that change places give another token: without positions they would not."""
    encoder, pixels = vit(), pictures(1, 3, 12, 12)
    swapped = pixels.roll(4, dims=2)
    assert not torch.allclose(encoder(cells(pixels)).values, encoder(cells(swapped)).values, atol=1e-4)


def test_sinusoidal_positions_take_another_size_than_the_columns():
    assert vit(size=12)(cells(pictures(1, 3, 20, 8))).values.shape == (1, 1, 16)


@pytest.mark.parametrize(("width", "heads"), [(10, 4), (9, 3)])
def test_a_width_that_cannot_be_divided_is_refused(width, heads):
    with pytest.raises(ConfigError, match=f"multiple of heads and of 2; got {width}, {heads}"):
        vit(width=width, heads=heads)


def test_it_learns_digits_far_above_chance():
    digits = load_digits()
    grey = torch.from_numpy((digits.images * 255 / 16).astype(np.uint8))
    pixels = grey[:, None].expand(-1, 3, -1, -1).contiguous()
    labels = torch.from_numpy(digits.target)
    torch.manual_seed(0)
    encoder = Vit(VitConfig(patch=2, width=32, layers=2, heads=2, hidden=64), Image(ImageConfig(size=8)))
    head = torch.nn.Linear(32, 10)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=3e-3)
    for step in range(160):
        rows = torch.arange(step * 64, step * 64 + 64) % 1_000
        loss = cross_entropy(head(encoder(cells(pixels[rows])).values[:, 0]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    encoder.eval()
    with torch.inference_mode():
        found = head(encoder(cells(pixels[1_400:])).values[:, 0]).argmax(dim=1)
    assert (found == labels[1_400:]).float().mean() > 0.5
