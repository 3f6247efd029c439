"""Images: pictures of any common format, brought to one square size."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
import PIL.ImageFile
import torch
from jaxtyping import Float, UInt8
from PIL import Image as Pillow
from PIL import ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile
from pydantic import ConfigDict, Field

from polymodal import formats
from polymodal.config import LimitsConfig
from polymodal.errors import ConfigError, UnreadableCellError
from polymodal.types import Cells, Recognition, Sample

Pixels: TypeAlias = UInt8[np.ndarray, "H W 3"]
_Seen = TypeVar("_Seen")

# The classes themselves, not `Image.open`: it tries formats by the dozen and warns of sizes that `max_pixels` allows
# (for TIFF and WebP Pillow's own limit, 179 million pixels, holds as well).
_OPENERS: dict[formats.Format, Callable[[BytesIO], PIL.ImageFile.ImageFile]] = {
    formats.JPEG: JpegImageFile,
    formats.PNG: PngImageFile,
    formats.WEBP: WebPImageFile,
    formats.GIF: GifImageFile,
    formats.BMP: BmpImageFile,
    formats.TIFF: TiffImageFile,
}
# What Pillow's decoders raise for damaged files; OSError is how it reports a file that ends too soon.
_DAMAGE = (OSError, SyntaxError, ValueError, LookupError, EOFError, TypeError, OverflowError, ZeroDivisionError,
           AttributeError, RuntimeError, MemoryError, struct.error, zlib.error, Warning,
           Pillow.DecompressionBombError)  # fmt: skip

_GRID = 8  # simple features: so many mean colours along each side
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's own grey


@dataclass(frozen=True)
class ImageConfig:
    """Settings of an image column.

    Attributes:
        size: side of the square, in pixels, at which pictures are stored and enter the encoder.
        fit: how a picture becomes a square: `pad` keeps all of it, in proportion, between bars in the median colour of
            its border; `crop` takes the middle square; `stretch` ignores proportion.
        max_pixels: a larger picture is refused before it is decoded.
        rotate: in training, rotation by up to so many degrees either way.
        scale: enlarged or reduced by up to this share.
        shift: moved along each axis by up to this share of the side.
        flip: probability of swapping left and right; 0 is right where that changes the meaning (digits, letters).
        colour: brightness, contrast and saturation each change by up to this share.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    size: Annotated[int, Field(ge=8, le=2_048)] = 64
    fit: Literal["pad", "crop", "stretch"] = "pad"
    max_pixels: Annotated[int, Field(ge=1)] = 50_000_000
    rotate: Annotated[float, Field(ge=0, le=180)] = 10.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.05
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Image:
    """Reads JPEG, PNG, WebP, GIF, BMP and TIFF, known by content, and arrays; gives uint8 [size, size, 3], RGB.

    One rule for every picture, in training and in serving:

    - animations and multi-page files: the first frame;
    - EXIF orientation is applied; colour profiles are not;
    - CMYK, YCbCr, palettes and grey become RGB; whatever is transparent is laid on white;
    - 16 bits a channel become 8 by dividing by 257 (grey) or keeping the high byte (colour), which differ by 1 at most;
      float pixels lie in [0, 1];
    - shrinking is bicubic with antialiasing, enlarging bilinear.

    Arrays are H x W, or H x W x 1, 3 or 4 (the fourth is opacity): uint8, uint16, or float in [0, 1]. A file that ends
    too soon is unreadable: no part of a picture is ever made up.
    """

    Config: ClassVar[type] = ImageConfig
    group: ClassVar[str | None] = None
    media: ClassVar[bool] = True

    def __init__(self, config: ImageConfig, statistics: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        self.config = config

    @property
    def size(self) -> int:
        return self.config.size

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """From half of the cells on: files or bytes that start as a picture, or arrays with the shape of one."""
        found = [formats.sniff(head) if head else None for head in sample.heads]
        names = sorted({format_.name for format_ in found if format_ in _OPENERS})
        num_files = sum(format_ in _OPENERS for format_ in found)
        num_arrays = sum(isinstance(value, np.ndarray) and _is_picture(value) for value in sample.values)
        num_cells = len(sample.values)
        count = max(num_files, num_arrays)
        if 2 * count < max(num_cells, 1):
            return None
        verb = "name files" if any(isinstance(value, str) for value in sample.values) else "hold bytes"
        what = f"{verb} that start as {' or '.join(names)}" if num_files >= num_arrays else "are arrays of pixels"
        return Recognition(0.5 + 0.5 * count / num_cells, f"{count} of {num_cells} sampled cells {what}")

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        """The median of the pictures' longer sides, a multiple of 16 from 32 to 96 pixels; the limit on pixels."""
        sides = [side for cell in cells if (side := _longer_side(cell)) is not None]
        settings: dict[str, Any] = {"max_pixels": limits.pixels}
        if sides:
            settings["size"] = int(np.clip(math.ceil(float(np.median(sides)) / 16) * 16, 32, 96))
        return settings

    def read(self, cell: object) -> Pixels:
        """One picture from the content of a file, or from an array."""
        if isinstance(cell, np.ndarray):
            picture = _from_array(cell, self.config.max_pixels)
        elif isinstance(cell, bytes):
            picture = _decode(cell, self.config)
        else:
            raise UnreadableCellError(f"not an image: a cell of type {type(cell).__name__}")
        return _to_square(picture, self.config)

    def remark(self, cell: object) -> str | None:
        """That of an animation, or of a file of many pages, only the first frame is read."""
        several = _from_header(cell, lambda file: bool(getattr(file, "is_animated", False)))
        return "cut to the first frame" if several else None

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
        values = torch.zeros(len(arrays), 3, self.size, self.size, dtype=torch.uint8)
        for row, array in enumerate(arrays):
            if array is not None:
                values[row] = torch.tensor(array).permute(2, 0, 1)
        return Cells(values, torch.tensor([int(array is not None) for array in arrays]))

    def simple_features(self, arrays: Sequence[np.ndarray | None]) -> Float[np.ndarray, "B F"]:
        """The mean colours of an 8 x 8 grid, in [0, 1]; NaN where the cell is missing."""
        features = np.full((len(arrays), _GRID * _GRID * 3), np.nan)
        for row, array in enumerate(arrays):
            if array is not None:
                grid = Pillow.fromarray(array).resize((_GRID, _GRID), Pillow.Resampling.BOX)
                features[row] = np.asarray(grid).ravel() / 255
        return features


def _decode(content: bytes, config: ImageConfig) -> Pillow.Image:
    """The picture in a file, upright and RGB."""
    format_ = formats.sniff(content)
    if format_ is None or format_ not in _OPENERS:
        raise UnreadableCellError(f"not an image: {formats.describe(content)}")
    if PIL.ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ConfigError(
            "Some code has set PIL.ImageFile.LOAD_TRUNCATED_IMAGES, which fills what a damaged picture lacks with grey."
            " Set it to False before Polymodal reads pictures."
        )
    try:
        file = _OPENERS[format_](BytesIO(content))
        _check_pixels(*file.size, config.max_pixels)
        file.draft(None, (2 * config.size, 2 * config.size))  # a JPEG much larger than needed: decode a reduced one
        file.load()
        return _to_rgb(ImageOps.exif_transpose(file))
    except UnreadableCellError:  # too many pixels; it is a ValueError too
        raise
    except _DAMAGE as error:
        raise UnreadableCellError(f"damaged {format_.name} file: {error}") from error


def _longer_side(cell: object) -> int | None:
    """In pixels, by the header alone; None where the cell is no picture."""
    if isinstance(cell, np.ndarray):
        return max(cell.shape[:2]) if _is_picture(cell) else None
    return _from_header(cell, lambda file: max(file.size))


def _from_header(cell: object, look: Callable[[PIL.ImageFile.ImageFile], _Seen]) -> _Seen | None:
    """What is seen of a file without decoding it; None where it is no picture, or too damaged for that."""
    opener = _OPENERS.get(found) if isinstance(cell, bytes) and (found := formats.sniff(cell)) else None
    if opener is None:
        return None
    try:
        with opener(BytesIO(cell)) as file:  # type: ignore[arg-type]
            return look(file)
    except _DAMAGE:
        return None


def _from_array(array: np.ndarray, max_pixels: int) -> Pillow.Image:
    if not _is_picture(array):
        raise UnreadableCellError(
            f"not an image: an array of {array.dtype} and shape {array.shape}; expected H x W or H x W x 1, 3 or 4 of"
            " uint8, uint16 or float in [0, 1]"
        )
    _check_pixels(array.shape[1], array.shape[0], max_pixels)
    pixels = np.ascontiguousarray(_to_uint8(array))
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    return _to_rgb(Pillow.fromarray(pixels))


def _is_picture(array: np.ndarray) -> bool:
    plane = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {1, 3, 4})
    number = array.dtype in (np.uint8, np.uint16) or np.issubdtype(array.dtype, np.floating)
    return plane and number and array.size > 0


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise UnreadableCellError(f"too large: {width} x {height} pixels, at most {max_pixels:,} are let in")


def _to_uint8(values: np.ndarray) -> np.ndarray:
    """Whole numbers in 0..65535 by 1/257, floats in 0..1 by 255, both rounded; uint8 as it is."""
    if values.dtype == np.uint8:
        return values
    whole = np.issubdtype(values.dtype, np.integer)
    top = 65_535 if whole else 1
    if not (values.min() >= 0 and values.max() <= top):  # so written, it is true of NaN
        raise UnreadableCellError(f"pixels outside 0 to {top}: from {values.min():g} to {values.max():g}")
    return np.rint(values * (255 / top)).astype(np.uint8)


def _to_rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode.startswith("I") or picture.mode == "F":  # more than 8 bits a pixel, which `convert` would clip
        picture = Pillow.fromarray(_to_uint8(np.asarray(picture)))
    if picture.mode in {"La", "RGBa"}:  # colours already multiplied by opacity
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Pillow.new("RGBA", picture.size, "white")
        picture = Pillow.alpha_composite(white, picture)
    return picture.convert("RGB")


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
