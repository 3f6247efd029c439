"""What a checkpoint's preprocessing says of pictures: their size, and the scale of their colours."""

from __future__ import annotations

import math

from pydantic import JsonValue

from polymodal.errors import ConfigError
from polymodal.layers.normalisation import PixelNorm
from polymodal.pretrained.checkpoints import Checkpoint


def picture_side(checkpoint: Checkpoint) -> int:
    """The side in pixels of the pictures that the checkpoint was trained on.

    Raises:
        ConfigError: they were not square, or nothing says how large.
    """
    preprocessing, who = checkpoint.preprocessing, checkpoint.family.who
    cropped = preprocessing.get("do_center_crop") and preprocessing.get("crop_size")
    for given in (cropped, preprocessing.get("size"), checkpoint.architecture.get("image_size")):
        sides = _sides(given)
        if len(sides) == 1:
            return sides.pop()
        if sides:
            raise ConfigError(f"{who}: the checkpoint reads pictures of {given}; only squares are made here.")
    raise ConfigError(f"{who}: neither preprocessing nor config.json says how large the pictures are.")


def pixel_norm(checkpoint: Checkpoint) -> PixelNorm:
    """Bytes -> the colours that the checkpoint was trained on.

    Raises:
        ConfigError: another scale than that of bytes / 255, or no mean and deviation.
    """
    preprocessing, who = checkpoint.preprocessing, checkpoint.family.who
    factor = preprocessing.get("rescale_factor", 1 / 255)
    if not preprocessing.get("do_rescale", True) or not isinstance(factor, float) or abs(factor * 255 - 1) > 1e-3:
        raise ConfigError(f"{who}: the checkpoint wants pixels times {factor}; only 1 / 255 is done here.")
    if not preprocessing.get("do_normalize", True):
        return PixelNorm((0.0,) * 3, (1.0,) * 3)
    mean, deviation = (_three(preprocessing.get(key)) for key in ("image_mean", "image_std"))
    if mean is None or deviation is None:
        raise ConfigError(f"{who}: preprocessing does not give image_mean and image_std, three numbers each.")
    return PixelNorm(mean, deviation)


def _sides(given: JsonValue) -> set[int]:
    if isinstance(given, dict):
        given = [given[key] for key in ("height", "width", "shortest_edge") if key in given]
    sides = given if isinstance(given, list) else [given]
    return {int(side) for side in sides if isinstance(side, int) and not isinstance(side, bool) and side > 0}


def _three(given: JsonValue) -> tuple[float, ...] | None:
    if not isinstance(given, list) or len(given) != 3:
        return None
    numbers = tuple(float(number) for number in given if isinstance(number, int | float))
    return numbers if len(numbers) == 3 and all(map(math.isfinite, numbers)) else None
