"""Reads the picture in a DICOM file (extra `medical`): its first frame, as 8-bit grey or RGB.

Only the elements that say how to show the pixels are read: what a file holds about a patient is never looked at, and no
text of its header enters a message, a warning or a log.
"""

from __future__ import annotations

import logging
import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as Pillow

from polymodal.codecs.limits import check_pixels
from polymodal.errors import MissingExtraError, UnreadableCellError, needs_extra

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_ONE_AT_A_TIME = threading.Lock()
_LOW, _HIGH = 0.5, 99.5  # percentiles that become black and white where a file names no window
_DEFLATED = b"1.2.840.10008.1.2.1.99"  # pydicom inflates such a file at once, without a limit
_SHOWN = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "RescaleIntercept",
    "RescaleSlope", "WindowCenter", "WindowWidth", "VOILUTFunction", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
)  # fmt: skip
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths")


@contextmanager
def _discreetly() -> Iterator[None]:
    """Keeps pydicom silent: of damaged files it warns, logs and raises in the words of their headers.

    One file at a time, because filters of warnings belong to the whole process.

    Raises:
        UnreadableCellError: in place of whatever pydicom raises.
    """
    logger = logging.getLogger("pydicom")
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, logger.disabled = logger.disabled, True
        try:
            yield
        except (UnreadableCellError, MissingExtraError):
            raise
        except Exception:  # pydicom raises of every kind
            raise UnreadableCellError("damaged DICOM file: its header does not fit its pixels") from None
        finally:
            logger.disabled = before


@_discreetly()
def decode(content: bytes, *, max_pixels: int, window: tuple[float, float] | None = None) -> Pillow.Image:
    """The first frame of a DICOM file in mode L or RGB.

    Stored values become the units of the file (rescale slope and intercept, PS3.3 C.11.1.1.2); a window, given or the
    file's first, makes them 0 to 255 (C.11.2.1.2: LINEAR, LINEAR_EXACT, SIGMOID). Where there is none, the 0.5th and
    99.5th percentile of the picture, its padding aside, become black and white. MONOCHROME1 is inverted, palettes and
    YBR become RGB. Tables of grey values (modality and VOI LUT) are not applied.

    Raises:
        UnreadableCellError: too large, damaged, or compressed in a way that no installed package can undo.
        MissingExtraError: pydicom is not installed.
    """
    data = _parse(content, pixels=True)
    width, height, _ = _sizes(data)
    check_pixels(width, height, max_pixels)
    return Pillow.fromarray(_shown(data, _first_frame(data), window))


@_discreetly()
def measure(content: bytes) -> tuple[int, int, int]:
    """Width, height and number of frames, by the header alone.

    Raises:
        UnreadableCellError: damaged.
        MissingExtraError: pydicom is not installed.
    """
    return _sizes(_parse(content, pixels=False))


@_discreetly()
def has_window(content: bytes) -> bool:
    """Whether the file says which values are black and white, or has colours."""
    data = _parse(content, pixels=False)
    return _window(data) is not None or not str(data.get("PhotometricInterpretation", "")).startswith("MONOCHROME")


def _parse(content: bytes, *, pixels: bool) -> Dataset:
    with needs_extra("pydicom", "medical", "Reading DICOM pictures"):
        import pydicom
    if _DEFLATED in content:  # wherever it stands: what is no header here might be one to pydicom
        raise UnreadableCellError("a deflated DICOM file; save it in another transfer syntax")
    wanted: list[Any] = [*_SHOWN, *(_PIXELS if pixels else ())]
    try:
        return pydicom.dcmread(BytesIO(content), stop_before_pixels=not pixels, specific_tags=wanted)
    except Exception:  # as above
        raise UnreadableCellError("damaged DICOM file: its header cannot be read") from None


def _sizes(data: Dataset) -> tuple[int, int, int]:
    try:
        width, height = int(data.Columns), int(data.Rows)
        num_frames = int((_numbers(data, "NumberOfFrames") or [1])[0])
    except Exception:  # as above
        raise UnreadableCellError("a DICOM file without a picture: it names no rows and columns") from None
    if width < 1 or height < 1:
        raise UnreadableCellError("a DICOM file without a picture: it has no rows or no columns")
    return width, height, num_frames


def _first_frame(data: Dataset) -> np.ndarray:
    """Stored values [H, W], or [H, W, 3] in RGB."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array

    if not any(name in data for name in _PIXELS[:3]):
        raise UnreadableCellError("a DICOM file without a picture: it holds no pixels")
    syntax = data.file_meta.get("TransferSyntaxUID")
    try:
        decoder = get_decoder(syntax)
    except Exception:  # unknown, private or absent
        name = syntax.name if getattr(syntax, "is_private", True) is False and syntax.name != syntax else "unknown"
        raise UnreadableCellError(f"a DICOM file of a transfer syntax that cannot be read: {name}") from None
    if not decoder.is_available:
        needs = "; or ".join(missing.partition(" - requires ")[2] for missing in decoder.missing_dependencies)
        raise UnreadableCellError(f"compressed as {decoder.UID.name}, which needs {needs}")
    try:
        return np.asarray(pixel_array(data, index=0))
    except Exception:  # as above
        raise UnreadableCellError("damaged or truncated DICOM file: its pixels cannot be decoded") from None


def _shown(data: Dataset, stored: np.ndarray, window: tuple[float, float] | None) -> UInt8[np.ndarray, "H W ..."]:
    colours = str(data.PhotometricInterpretation)
    if colours == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        mapped = apply_color_lut(stored, data)
        return _bytes(mapped / np.iinfo(mapped.dtype).max * 255)
    if stored.ndim == 3:
        white = 2 ** int(data.BitsStored) - 1
        return _bytes(np.clip(stored / white, 0, 1) * 255)
    slope, intercept = _numbers(data, "RescaleSlope") or [1.0], _numbers(data, "RescaleIntercept") or [0.0]
    values = stored.astype(np.float64) * slope[0] + intercept[0]
    if not np.isfinite(values).all():
        raise UnreadableCellError("damaged DICOM file: it holds values that are NaN or infinite")
    chosen = window or _window(data)
    function = str(_setting(data, "VOILUTFunction") or "LINEAR") if window is None else "LINEAR"
    grey = (
        _stretch(values, stored, data.get("PixelPaddingValue"))
        if chosen is None
        else _through_window(values, chosen, function)
    )
    if colours == "MONOCHROME1":
        grey = 255 - grey
    return _bytes(grey)


def _bytes(values: np.ndarray) -> UInt8[np.ndarray, "H W ..."]:
    rounded: np.ndarray = np.rint(values)
    return rounded.astype(np.uint8)


def _through_window(
    values: Float[np.ndarray, "H W"], window: tuple[float, float], function: str
) -> Float[np.ndarray, "H W"]:
    """0 to 255, by PS3.3 C.11.2.1.2; a function that the standard does not know is taken as LINEAR."""
    from pydicom.dataset import Dataset
    from pydicom.pixels.processing import apply_windowing

    shown = Dataset()
    shown.PhotometricInterpretation, shown.BitsStored, shown.PixelRepresentation = "MONOCHROME2", 8, 0
    shown.VOILUTFunction = function if function in {"LINEAR_EXACT", "SIGMOID"} else "LINEAR"
    shown.WindowCenter, shown.WindowWidth = window
    if shown.VOILUTFunction == "LINEAR":
        shown.WindowWidth = max(window[1], 1.0)  # of one value, which is a threshold
    return apply_windowing(values, shown)


def _stretch(values: Float[np.ndarray, "H W"], stored: np.ndarray, padding: object) -> Float[np.ndarray, "H W"]:
    """The ends of what was recorded, not of its padding, become 0 and 255; black where all is one grey."""
    recorded = stored != padding if isinstance(padding, int) else np.ones(stored.shape, dtype=bool)
    counted = values[recorded] if recorded.any() else values
    low, high = np.percentile(counted, [_LOW, _HIGH])
    if low == high:
        low, high = counted.min(), counted.max()
    return np.asarray(np.clip((values - low) / ((high - low) or 1.0), 0, 1) * 255)


def _window(data: Dataset) -> tuple[float, float] | None:
    """Centre and width of the first window; None where the file has none that can be used."""
    centres, widths = _numbers(data, "WindowCenter"), _numbers(data, "WindowWidth")
    if not centres or not widths or not math.isfinite(centres[0]) or not 0 < widths[0] < math.inf:
        return None
    return centres[0], widths[0]


def _numbers(data: Dataset, keyword: str) -> list[float]:
    """Numbers of an element, from its raw bytes: pydicom would warn, in the file's words, of every unusual spelling."""
    value = _setting(data, keyword)
    if value is None:
        return []
    try:
        parts = value.split(b"\\") if isinstance(value, bytes) else value if isinstance(value, list) else [value]
        return [float(part.strip(b" \0") if isinstance(part, bytes) else part) for part in parts]
    except (TypeError, ValueError):
        return []


def _setting(data: Dataset, keyword: str) -> Any:
    """Value of an element: of the file, of its first frame, or of all its frames (PS3.3 C.7.6.16)."""
    for holder in (data, *_groups(data)):
        if keyword in holder:
            value = holder.get_item(keyword).value
            if isinstance(value, bytes) and keyword == "VOILUTFunction":
                return value.strip(b" \0").decode("ascii", "replace")
            return list(value) if type(value).__name__ == "MultiValue" else value
    return None


def _groups(data: Dataset) -> list[Dataset]:
    """The functional groups that hold windows and rescaling: those of the first frame before the shared ones."""
    found = []
    for name in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for frame in list(data.get(name) or [])[:1]:
            for inner in ("FrameVOILUTSequence", "PixelValueTransformationSequence"):
                found += list(frame.get(inner) or [])[:1]
    return found
