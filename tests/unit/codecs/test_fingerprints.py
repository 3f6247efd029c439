"""Fingerprints: near 1 for what a copy may have gone through, far from 1 for other cells, zero where nothing is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from polymodal.codecs import fingerprints

NEAR = 0.97


def drawing(seed, side=96):
    rough = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8))
    return rough.resize((side, side), Image.Resampling.BICUBIC)


def coded(picture, quality=60):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


def of(picture):
    return fingerprints.picture(np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize(
    "change",
    [coded, lambda p: p.resize((48, 48)), lambda p: p.point(lambda v: int(0.7 * v)), lambda p: p.convert("L")],
    ids=["jpeg", "half", "darker", "grey"],
)
def test_a_copy_of_a_picture_is_near(change):
    for seed in range(10):
        assert of(drawing(seed)) @ of(change(drawing(seed))) > NEAR


def test_other_pictures_are_far():
    prints = np.stack([of(drawing(seed)) for seed in range(40)])
    cosines = prints @ prints.T - 2 * np.eye(40)
    assert cosines.max() < 0.7
    assert of(drawing(0)) @ of(drawing(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT)) < 0.7


def test_the_steps_are_those_of_the_small_picture():
    pixels = np.zeros((25, 25, 3), dtype=np.uint8)
    pixels[:, 10:] = 200  # one edge: 25 steps to the right, none downwards
    steps = fingerprints.picture(pixels)
    assert np.count_nonzero(steps) == 25
    assert steps[steps != 0] == pytest.approx(np.full(25, 0.2))


@pytest.mark.parametrize("value", [0, 127, 255])
def test_a_blank_page_is_like_nothing(value):
    assert not fingerprints.picture(np.full((64, 64, 3), value, dtype=np.uint8)).any()


def song(seed):
    rng = np.random.default_rng(seed)
    parts = [rng.uniform(0.02, 0.3) * np.sin(np.arange(2_000) * rng.uniform(0.05, 2)) for _ in range(10)]
    return np.concatenate(parts)


def heard(wave):
    return fingerprints.sound((wave * 32_767).astype(np.int16))


@pytest.mark.parametrize(
    "change",
    [lambda w: 0.3 * w, lambda w: w + np.random.default_rng(9).normal(0, 0.001, len(w)), lambda w: w[20:]],
    ids=["quieter", "noise", "cut"],
)
def test_a_copy_of_a_sound_is_near(change):
    assert min(heard(song(seed)) @ heard(change(song(seed))) for seed in range(10)) > NEAR


def test_other_sounds_are_far():
    prints = np.stack([heard(song(seed)) for seed in range(40)])
    assert (prints @ prints.T - 2 * np.eye(40)).max() < 0.8


@pytest.mark.parametrize(
    "wave", [np.zeros(16_000), np.sin(np.arange(100)), np.ones(0)], ids=["silent", "short", "none"]
)
def test_what_has_no_shape_is_like_nothing(wave):
    assert not heard(wave).any()
