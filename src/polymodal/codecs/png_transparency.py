"""Finds the pixels of the one transparent colour that a PNG may name (chunk tRNS), where Pillow compares too few bits.

Pillow compares what it has made of the pixels, 8 bits of each value, with the value in the file, which has as many bits
as the file's own: 16 of them, or 2 or 4 (PNG, third edition, 11.3.1.1).
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from jaxtyping import Bool
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngImageFile

_GREY, _RGB = 0, 2  # colour types


def lay_on_white(picture: Pillow.Image, content: bytes) -> Pillow.Image:
    """A decoded PNG whose transparent colour is white; as it stands where Pillow will find the colour itself."""
    depth, colour_type = content[24], content[25]
    colour = picture.info.get("transparency")
    if colour is None or depth in {1, 8} or colour_type not in {_GREY, _RGB}:
        return picture
    if depth < 8:
        picture.info["transparency"] = colour * 255 // (2**depth - 1)
        return picture
    pixels = np.array(picture)
    pixels[_transparent(pixels, colour, content)] = np.iinfo(pixels.dtype).max if colour_type == _RGB else 65_535
    laid = Pillow.fromarray(pixels)
    laid.info = {name: value for name, value in picture.info.items() if name != "transparency"}
    return laid


def _transparent(pixels: np.ndarray, colour: int | tuple[int, int, int], content: bytes) -> Bool[np.ndarray, "H W"]:
    """Which pixels have this colour of 16 bits a value; of RGB Pillow gives the high bytes, or the low ones."""
    if pixels.ndim == 2:
        return np.asarray(pixels == colour)
    with PngImageFile(BytesIO(content)) as file:
        file.tile = [tile._replace(args="RGB;16L") for tile in file.tile]
        low = np.asarray(file)
    both = (pixels.astype(np.uint16) << 8) | low
    return np.asarray((both == np.array(colour, np.uint16)).all(axis=2))
