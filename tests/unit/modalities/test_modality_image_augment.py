from __future__ import annotations

import numpy as np
import pytest

from polymodal.modalities.image import Image, ImageConfig

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
STILL = {"rotate": 0.0, "scale": 0.0, "shift": 0.0, "flip": 0.0, "colour": 0.0}


class Drawn(np.random.Generator):
    """A generator whose draws are known: turn, scale, right, down, brightness, contrast, saturation in [-1, 1]."""

    def __init__(self, *draws):
        super().__init__(np.random.PCG64(0))
        self.draws = np.array([*draws, *[0.0] * (7 - len(draws))])

    def uniform(self, low, high, size):
        assert (low, high, size) == (-1, 1, 7)
        return self.draws

    def random(self):
        return 0.5


def augmented(array, *draws, **settings):
    return Image(ImageConfig(size=array.shape[0], **(STILL | settings))).augment(array, Drawn(*draws))


def ramp(side=64):
    return np.repeat(np.tile(np.arange(side) * 3.0, (side, 1))[..., None], 3, axis=2).round().astype(np.uint8)


def test_no_strength_changes_nothing():
    np.testing.assert_array_equal(augmented(PIXELS, 1, 1, 1, 1, 1, 1, 1), PIXELS)


def test_flip_swaps_left_and_right():
    np.testing.assert_array_equal(augmented(PIXELS, flip=1.0), PIXELS[:, ::-1])


@pytest.mark.parametrize("turn", [-1, 1])
def test_a_quarter_turn(turn):
    turned = augmented(PIXELS, turn, rotate=90.0)
    np.testing.assert_allclose(turned, np.rot90(PIXELS, -turn), rtol=0, atol=1)


def test_shift_moves_right_and_down_over_the_border_colour():
    moved = augmented(PIXELS, 0, 0, 1, 1, shift=0.25)
    np.testing.assert_array_equal(moved[4:, 4:], PIXELS[:-4, :-4])
    border = np.concatenate([PIXELS[0], PIXELS[-1], PIXELS[:, 0], PIXELS[:, -1]])
    middle = np.sort(border, axis=0)[len(border) // 2 - 1 : len(border) // 2 + 1]  # an even number has two
    assert ((middle[0] <= moved[0, 0]) & (moved[0, 0] <= middle[1])).all()


def test_scale_enlarges_about_the_centre():
    grown = augmented(ramp(), 0, 1, scale=0.25).astype(float)
    source = (np.arange(64) + 0.5 - 32) / 1.25 + 32 - 0.5
    assert np.abs(grown[32, :, 0] - 3 * source).max() <= 1


def test_colour_by_the_formulas():
    out = augmented(PIXELS, 0, 0, 0, 0, 0.5, -1, 1, colour=0.4).astype(float)
    bright, contrast, saturation = 1.2, 0.6, 1.4
    luma = np.array([0.299, 0.587, 0.114])
    grey = (PIXELS @ luma)[..., None]
    saturated = grey + saturation * (PIXELS - grey)
    mean = grey.mean()
    expected = np.clip(bright * (mean + contrast * (saturated - mean)), 0, 255)
    assert np.abs(out - expected).max() <= 1


def test_augment_is_decided_by_its_generator_and_leaves_its_array():
    image, array = Image(ImageConfig(size=16, flip=0.5)), PIXELS.copy()
    array.setflags(write=False)
    once, again, other = (image.augment(array, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    assert once.dtype == np.uint8
