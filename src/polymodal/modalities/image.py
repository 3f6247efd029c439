"""Images: pictures in any common format, resized to one square size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image as Pillow
from pydantic import Field

from polymodal.codecs import fingerprints, pictures, previews
from polymodal.codecs.pictures import Reading
from polymodal.codecs.recognition import recognise_media
from polymodal.config.node import settings
from polymodal.config.run_config import LimitsConfig
from polymodal.protocols import Modality, Recognition, Sample
from polymodal.types import Cells

Pixels: TypeAlias = UInt8[np.ndarray, "H W 3"]

_DECODED = 16  # deep pictures that are decoded to see how many bits they use
_GRID = 8  # handcrafted features: so many mean colours along each side
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's own grey


@settings
class ImageConfig:
    """Settings of an image column.

    Attributes:
        size: side of the square, in pixels, at which pictures are stored and enter the encoder.
        fit: how a picture becomes a square: `pad` keeps all of it, in proportion, between bars in the median colour of
            its border; `crop` takes the middle square; `stretch` ignores proportion.
        max_pixels: a larger picture is refused before it is decoded.
        bits: of pictures with 16 bits a pixel so many are used: 2 ** bits - 1 is white, and what is brighter is, too.
            Pictures of 12 bits, as in medicine, would be nearly black at 16.
        window: centre and width of the values that a DICOM picture shows, in the units of the file (for CT
            Hounsfield units), for all alike; null: the window that each file names.
        rotate: in training, rotation by up to so many degrees either way.
        scale: enlarged or reduced by up to this share.
        shift: moved along each axis by up to this share of the side.
        flip: probability of swapping left and right; 0 is right where that changes the meaning (digits, letters).
        colour: brightness, contrast and saturation each change by up to this share.
    """

    size: Annotated[int, Field(ge=8, le=2_048)] = 64
    fit: Literal["pad", "crop", "stretch"] = "pad"
    max_pixels: Annotated[int, Field(ge=1)] = 50_000_000
    bits: Annotated[int, Field(ge=8, le=16)] = 16
    window: tuple[float, Annotated[float, Field(gt=0)]] | None = None
    rotate: Annotated[float, Field(ge=0, le=180)] = 10.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.05
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Image(Modality):
    """Reads pictures in the formats below, known by content, and arrays: uint8 [size, size, 3], RGB.

    JPEG, PNG, WebP, GIF, BMP, TIFF, PPM (PGM, PBM, PFM), JPEG 2000, AVIF, DICOM (extra `medical`), HEIC (extra `heif`).
    One rule for every picture, in training and in serving:

    - animations and multi-page files: the first frame;
    - EXIF orientation is applied; colour profiles are not;
    - CMYK, YCbCr, palettes and grey become RGB; whatever is transparent is laid on white;
    - grey of 16 bits becomes 8 by one scale for the whole column: `bits` says which value is white. Colour, and grey
      with opacity, keep the high byte. Float pixels lie in [0, 1];
    - DICOM (extra `medical`): in its units, through the column's window, the file's own, or between the 0.5th and
      99.5th percentile of the picture; MONOCHROME1 is inverted. Nothing about the patient is read;
    - shrinking is bicubic with antialiasing, enlarging bilinear.

    Arrays are H x W, or H x W x 1, 3 or 4 (the fourth is opacity): uint8, uint16, or float in [0, 1]. A file that ends
    too soon is unreadable: no part of a picture is ever made up.
    """

    Config: ClassVar[type] = ImageConfig
    media: ClassVar[bool] = True
    near: ClassVar[float] = 0.97

    def __init__(self, config: ImageConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.size = config.size
        self._reading = Reading(config.max_pixels, side=config.size, bits=config.bits, window=config.window)

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """From half of the cells on; a GIF that moves counts as a video, though it could be read as its first frame."""
        num_arrays = sum(isinstance(value, np.ndarray) and pictures.is_picture(value) for value in sample.values)
        return recognise_media(sample, "image", pictures.FORMATS, num_arrays=num_arrays, arrays="pixels")

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        """Size, limit on pixels, and how many of 16 bits a pixel are used.

        The size is the median of the pictures' longer sides, a multiple of 16 from 16 to 96 pixels; the bits are those
        of the brightest pixel of some deep pictures, which are decoded for that.
        """
        headers = [(cell, seen) for cell in cells if (seen := pictures.header(cell)) is not None]
        settings: dict[str, Any] = {"max_pixels": limits.pixels}
        if headers:
            sides = [max(seen.width, seen.height) for _, seen in headers]
            settings["size"] = int(np.clip(math.ceil(float(np.median(sides)) / 16) * 16, 16, 96))
        deep = [cell for cell, seen in headers if seen.deep]
        deep = deep[:: max(1, math.ceil(len(deep) / _DECODED))]
        peaks = [peak for cell in deep if (peak := pictures.brightest(cell, limits.pixels)) is not None]
        if peaks:
            settings["bits"] = max(8, max(peaks).bit_length())
        return settings

    def read(self, cell: object) -> Pixels:
        return _to_square(pictures.open_picture(cell, self._reading), self.config)

    def note(self, cell: object) -> str | None:
        """That only a first frame is read, that pixels exceed `bits`, that greys without a window are spread."""
        seen = pictures.header(cell)
        peak = pictures.brightest(cell, self.config.max_pixels) if self.config.bits < 16 else None
        changes = {
            "cut to the first frame": seen is not None and seen.several,
            f"cut to the {self.config.bits} bits a pixel that white has": (peak or 0) >= 2**self.config.bits,
            "spread from its own darkest to its lightest grey": pictures.range_of_dicom(cell, self._reading),
        }
        return ", ".join(words for words, happens in changes.items() if happens) or None

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """`mean` and `std` of each channel, of values in [0, 1], over all pixels of the training rows."""
        counts = np.zeros((3, 256))  # how often each channel has each value: exact, in one pass
        for array in arrays:
            for channel in range(3):
                counts[channel] += np.bincount(array[..., channel].ravel(), minlength=256)
        total = counts.sum(axis=1)
        if not total.all():
            return {"mean": [0.5] * 3, "std": [0.25] * 3}
        levels = np.arange(256) / 255
        mean = counts @ levels / total
        variance = (counts * (levels - mean[:, None]) ** 2).sum(axis=1) / total
        return {"mean": mean.tolist(), "std": [math.sqrt(value) or 1.0 for value in variance]}

    def augment(self, array: np.ndarray, rng: np.random.Generator) -> Pixels:
        """Flipped, turned, scaled and moved in one step (bare corners: the border's median colour), then recoloured."""
        config = self.config
        turn, grow, right, down, bright, contrast, saturation = rng.uniform(-1, 1, 7)
        mirror = -1.0 if rng.random() < config.flip else 1.0
        picture = Pillow.fromarray(array)
        if config.rotate or config.scale or config.shift or mirror < 0:
            angle, zoom = math.radians(turn * config.rotate), 1 + grow * config.scale
            shift = (right * config.shift * config.size, down * config.shift * config.size)
            picture = picture.transform(
                picture.size,
                Pillow.Transform.AFFINE,
                _affine(angle, zoom, mirror, shift=shift, centre=config.size / 2),
                resample=Pillow.Resampling.BILINEAR,
                fillcolor=_border_colour(array),
            )
        if config.colour:
            change = 1 + config.colour * np.array([bright, contrast, saturation])
            grey = float(array.mean(axis=(0, 1)) @ _LUMA)
            picture = picture.convert("RGB", _colour_matrix(*change.tolist(), grey=grey))
        return np.asarray(picture)

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """UInt8 "B 3 H W"; black where the cell is missing, which its length 0 says."""
        turned = [None if array is None else array.transpose(2, 0, 1) for array in arrays]
        return Cells.stacked(turned, shape=(3, self.size, self.size), dtype=np.uint8)

    def handcrafted_features(self, arrays: Sequence[np.ndarray | None]) -> Float[np.ndarray, "B F"]:
        """The mean colours of an 8 x 8 grid, in [0, 1]; NaN where the cell is missing."""
        features = np.full((len(arrays), _GRID * _GRID * 3), np.nan)
        for row, array in enumerate(arrays):
            if array is not None:
                grid = Pillow.fromarray(array).resize((_GRID, _GRID), Pillow.Resampling.BOX)
                features[row] = np.asarray(grid).ravel() / 255
        return features

    def measures(self, array: np.ndarray) -> dict[str, float]:
        """Brightness and contrast, 0 to 255."""
        return {"brightness": float(array.mean()), "contrast": float(array.std())}

    def fingerprints(self, arrays: Sequence[np.ndarray]) -> Float32[np.ndarray, "B F"]:
        return np.stack([fingerprints.picture(array) for array in arrays])

    def preview(self, cell: object) -> str:
        """The picture in its own proportion, small."""
        reading = replace(self._reading, side=previews.LARGEST_SIDE)
        return previews.picture(pictures.open_picture(cell, reading), note="picture")


def _to_square(picture: Pillow.Image, config: ImageConfig) -> Pixels:
    side, (width, height) = config.size, picture.size
    wide, high, box = side, side, (0.0, 0.0, float(width), float(height))
    if config.fit == "pad":
        wide = max(1, round(side * width / max(width, height)))
        high = max(1, round(side * height / max(width, height)))
    elif config.fit == "crop":
        short = min(width, height)
        left, top = (width - short) / 2, (height - short) / 2
        box = (left, top, left + short, top + short)
    shrinks = box[2] - box[0] > wide or box[3] - box[1] > high
    resample = Pillow.Resampling.BICUBIC if shrinks else Pillow.Resampling.BILINEAR
    pixels = np.asarray(picture.resize((wide, high), resample, box))
    if (wide, high) == (side, side):
        return pixels
    square = np.empty((side, side, 3), dtype=np.uint8)
    square[:] = _border_colour(pixels)
    top, left = (side - high) // 2, (side - wide) // 2
    square[top : top + high, left : left + wide] = pixels
    return square


def _border_colour(pixels: np.ndarray) -> tuple[int, int, int]:
    """Median of the outermost pixels, by channel."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    middle = len(border) // 2
    red, green, blue = np.partition(border, middle, axis=0)[middle].tolist()
    return red, green, blue


def _affine(
    angle: float, zoom: float, mirror: float, *, shift: tuple[float, float], centre: float
) -> tuple[float, ...]:
    """Where each pixel of the result comes from: the inverse of mirror, turn and zoom about the centre, then shift."""
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    right, down = centre + shift[0], centre + shift[1]
    a, b, d, e = mirror * cos, mirror * sin, -sin, cos
    return (a, b, centre - a * right - b * down, d, e, centre - d * right - e * down)


def _colour_matrix(bright: float, contrast: float, saturation: float, *, grey: float) -> tuple[float, ...]:
    """Brightness, contrast about the picture's mean grey, and saturation as one affine map of RGB, row by row."""
    to_grey = np.tile(_LUMA, (3, 1))
    linear = bright * contrast * (saturation * np.eye(3) + (1 - saturation) * to_grey)
    offset = bright * (1 - contrast) * grey
    return tuple(np.column_stack([linear, np.full(3, offset)]).ravel().tolist())
