"""Opens pictures as the class `Image` says: files of any common format, known by content, and arrays; gives RGB."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO

import numpy as np
import PIL.ImageFile
from jaxtyping import UInt8
from PIL import Image as Pillow
from PIL import ImageOps, features
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from polymodal.codecs import dicom, png_transparency
from polymodal.codecs import sniffing as formats
from polymodal.codecs.limits import check_pixels
from polymodal.codecs.truncation import check_end
from polymodal.errors import ConfigError, MissingExtraError, UnreadableCellError


def _open_avif(stream: BytesIO) -> PIL.ImageFile.ImageFile:
    from PIL.AvifImagePlugin import AvifImageFile  # Pillow has it from 11.3 on

    return AvifImageFile(stream)


def _open_heic(stream: BytesIO) -> PIL.ImageFile.ImageFile:
    from pillow_heif import HeifImageFile

    file: PIL.ImageFile.ImageFile = HeifImageFile(stream)  # type: ignore[no-untyped-call] # its types are partial
    return file


# The classes themselves, not `Image.open`: it tries formats by the dozen and warns of sizes that `max_pixels` allows
# (for TIFF and WebP Pillow's own limit, 179 million pixels, holds as well).
_OPENERS: dict[formats.Format, Callable[[BytesIO], PIL.ImageFile.ImageFile]] = {
    formats.JPEG: JpegImageFile,
    formats.PNG: PngImageFile,
    formats.WEBP: WebPImageFile,
    formats.GIF: GifImageFile,
    formats.BMP: BmpImageFile,
    formats.TIFF: TiffImageFile,
    formats.PPM: PpmImageFile,
}
if features.check("jpg_2000"):
    _OPENERS[formats.JP2] = Jpeg2KImageFile
if features.check("avif"):
    _OPENERS[formats.AVIF] = _open_avif
if find_spec("pillow_heif") is not None:
    _OPENERS[formats.HEIC] = _open_heic
FORMATS = frozenset({*_OPENERS, formats.DICOM})  # that are read, by what is installed
# What Pillow's decoders raise for damaged files; OSError is how it reports a file that ends too soon.
_DAMAGE = (OSError, SyntaxError, ValueError, LookupError, EOFError, TypeError, OverflowError, ZeroDivisionError,
           AttributeError, RuntimeError, MemoryError, struct.error, zlib.error, Warning,
           Pillow.DecompressionBombError)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """How pictures are opened.

    Attributes:
        max_pixels: a larger picture is refused before it is decoded.
        side: what it will be shrunk to, in pixels: of a JPEG much larger a reduced one is decoded. None: all of it.
        bits: so many of 16 bits a pixel are used; white is 2 ** bits - 1.
        window: centre and width of the grey values that a DICOM file shows; None: as each file says.
    """

    max_pixels: int
    side: int | None = None
    bits: int = 16
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class Header:
    """What can be told of a picture without decoding it.

    Attributes:
        several: an animation, or a file of many pages or frames.
        deep: grey, of whole numbers of more than 8 bits, which `Reading.bits` scales.
    """

    width: int
    height: int
    several: bool = False
    deep: bool = False


def open_picture(cell: object, reading: Reading) -> Pillow.Image:
    """The picture in a file's content or in an array, upright and RGB.

    Raises:
        UnreadableCellError: with the reason.
        MissingExtraError: a DICOM file, and pydicom is not installed.
    """
    if isinstance(cell, np.ndarray):
        return _from_array(cell, reading)
    if not isinstance(cell, bytes):
        raise UnreadableCellError(f"not an image: a cell of type {type(cell).__name__}")
    if formats.sniff(cell) == formats.DICOM:
        _refuse_filling()
        return _to_rgb(dicom.decode(cell, max_pixels=reading.max_pixels, window=reading.window), 16)
    return _to_rgb(_decode(cell, reading), reading.bits)


def header(cell: object) -> Header | None:
    """Size and kind of a picture; None where the cell is none, or too damaged to tell."""
    if isinstance(cell, np.ndarray):
        return Header(cell.shape[1], cell.shape[0], deep=cell.dtype == np.uint16) if is_picture(cell) else None
    if not isinstance(cell, bytes) or (found := formats.sniff(cell)) is None or found not in FORMATS:
        return None
    try:
        if found == formats.DICOM:
            width, height, num_frames = dicom.measure(cell)
            return Header(width, height, several=num_frames > 1)
        with _OPENERS[found](BytesIO(cell)) as file:
            return Header(*file.size, several=bool(getattr(file, "is_animated", False)), deep=file.mode.startswith("I"))
    except (MissingExtraError, *_DAMAGE):  # told when the cell is read
        return None


def brightest(cell: object, max_pixels: int) -> int | None:
    """The largest pixel of a deep picture, which is decoded for that; None where it is not deep or cannot be read."""
    seen = header(cell)
    if seen is None or not seen.deep:
        return None
    if isinstance(cell, np.ndarray):
        return int(cell.max())
    assert isinstance(cell, bytes)
    try:
        return int(np.asarray(_load(cell, Reading(max_pixels))).max())
    except UnreadableCellError:
        return None


def range_of_dicom(cell: object, reading: Reading) -> bool:
    """Whether a picture's own darkest and lightest greys become black and white: a DICOM file without a window."""
    if not isinstance(cell, bytes) or formats.sniff(cell) != formats.DICOM or reading.window is not None:
        return False
    return not dicom.has_window(cell)


def stack(pictures: Sequence[UInt8[np.ndarray, "H W 3"]]) -> UInt8[np.ndarray, "P 3 H W"]:
    """Pictures of one size as one array, their channels first."""
    return np.stack([picture.transpose(2, 0, 1) for picture in pictures])


def unstack(array: UInt8[np.ndarray, "P 3 H W"]) -> list[UInt8[np.ndarray, "H W 3"]]:
    """The pictures that `stack` put together."""
    return list(np.ascontiguousarray(array.transpose(0, 2, 3, 1)))


def is_picture(array: np.ndarray) -> bool:
    """Whether an array has the shape and type of a picture."""
    plane = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {1, 3, 4})
    number = array.dtype in (np.uint8, np.uint16) or np.issubdtype(array.dtype, np.floating)
    return plane and number and array.size > 0


def _decode(content: bytes, reading: Reading) -> Pillow.Image:
    """The picture in a file, upright, in the mode that its format has."""
    file = _load(content, reading)
    return ImageOps.exif_transpose(
        png_transparency.lay_on_white(file, content) if isinstance(file, PngImageFile) else file
    )


def _load(content: bytes, reading: Reading) -> PIL.ImageFile.ImageFile:
    """The picture in a file as it is stored."""
    format_ = formats.sniff(content)
    if format_ is None or format_ not in _OPENERS:
        remedy = f"; {format_.remedy}" if format_ in {formats.AVIF, formats.HEIC, formats.JP2} and format_ else ""
        raise UnreadableCellError(f"not an image: {formats.describe(content)}{remedy}")
    _refuse_filling()
    check_end(content, format_, first_frame=True)
    try:
        file = _OPENERS[format_](BytesIO(content))
        check_pixels(*file.size, reading.max_pixels)
        if reading.side is not None:
            file.draft(None, (2 * reading.side, 2 * reading.side))
        file.load()
    except UnreadableCellError:  # too many pixels; it is a ValueError too
        raise
    except _DAMAGE as error:
        raise UnreadableCellError(f"damaged {format_.name} file: {error}") from error
    return file


def _refuse_filling() -> None:
    if PIL.ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ConfigError(
            "Some code has set PIL.ImageFile.LOAD_TRUNCATED_IMAGES, which fills what a damaged picture lacks with grey."
            " Set it to False before Polymodal reads pictures."
        )


def _from_array(array: np.ndarray, reading: Reading) -> Pillow.Image:
    if not is_picture(array):
        raise UnreadableCellError(
            f"not an image: an array of {array.dtype} and shape {array.shape}; expected H x W or H x W x 1, 3 or 4 of"
            " uint8, uint16 or float in [0, 1]"
        )
    check_pixels(array.shape[1], array.shape[0], reading.max_pixels)
    pixels = np.ascontiguousarray(_to_uint8(array, reading.bits))
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    return _to_rgb(Pillow.fromarray(pixels), reading.bits)


def _to_uint8(values: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers by 255 / (2 ** bits - 1), floats in 0..1 by 255, both rounded; uint8 as it is."""
    if values.dtype == np.uint8:
        return values
    whole = np.issubdtype(values.dtype, np.integer)
    top = 65_535 if whole else 1
    if not (values.min() >= 0 and values.max() <= top):  # so written, it is true of NaN
        raise UnreadableCellError(f"pixels outside 0 to {top}: from {values.min():g} to {values.max():g}")
    white = 2**bits - 1 if whole else 1
    scaled: np.ndarray = np.rint(np.minimum(values, white) * (255 / white))
    return scaled.astype(np.uint8)


def _to_rgb(picture: Pillow.Image, bits: int) -> Pillow.Image:
    try:
        if picture.mode.startswith("I") or picture.mode == "F":  # more than 8 bits a pixel, which `convert` would clip
            picture = Pillow.fromarray(_to_uint8(np.asarray(picture), bits))
        if picture.mode in {"La", "RGBa"}:  # colours already multiplied by opacity
            picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            white = Pillow.new("RGBA", picture.size, "white")
            picture = Pillow.alpha_composite(white, picture)
        return picture.convert("RGB")
    except UnreadableCellError:
        raise
    except _DAMAGE as error:
        raise UnreadableCellError(f"damaged picture: {error}") from error
