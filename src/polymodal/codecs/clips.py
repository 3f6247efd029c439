"""Frames of a video file, spread evenly over it; all that is decoded is bounded beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
from jaxtyping import UInt8

from polymodal.codecs import containers
from polymodal.codecs.limits import check_pixels, check_seconds
from polymodal.errors import UnreadableCellError

Pixels: TypeAlias = UInt8[np.ndarray, "H W 3"]
_Kept = TypeVar("_Kept")

_WHOLE = 512  # frames; of a longer video the frames that stand by themselves do, where there are enough of them
_MOST_WORK = 5_000_000_000  # pixels, of all frames that must be decoded for those that are kept


@dataclass(frozen=True)
class VideoHeader:
    """What a header says of a video; None where it does not say."""

    width: int
    height: int
    seconds: float | None
    frames: int | None


def measure(content: bytes) -> VideoHeader | None:
    """By the header alone; None where that cannot be read.

    Raises:
        MissingExtraError: PyAV is not installed.
    """
    try:
        with containers.opened(content, "video") as (container, stream):
            seconds = containers.stated_seconds(container, stream)
            by_rate = round(seconds * stream.average_rate) if seconds and stream.average_rate else None
            return VideoHeader(stream.width, stream.height, seconds, containers.stated_frames(stream) or by_rate)
    except UnreadableCellError:
        return None


def read_frames(
    content: bytes, *, max_frames: int, max_pixels: int, limit_seconds: float, shrink: Callable[[Pixels], Pixels]
) -> list[Pixels]:
    """Up to `max_frames` frames, spread evenly over the video: all of them where there are so few.

    How many there are is counted, not believed. Of a video of more than 512 frames only key frames are decoded, if it
    has at least `max_frames` of these. Frames of more than `max_pixels` pixels, and a video longer than `limit_seconds`
    are refused before anything is decoded. `shrink` makes a frame small before the next one is decoded.

    Raises:
        UnreadableCellError: damaged, truncated, without a frame, or beyond a limit.
        MissingExtraError: PyAV is not installed.
    """
    with containers.opened(content, "video", max_pixels=max_pixels) as (container, stream):
        check_pixels(stream.width, stream.height, max_pixels)
        if not stream.width * stream.height:
            raise UnreadableCellError("damaged: its frames have no size")
        is_key, seconds = containers.packets(container, stream)
        check_seconds(seconds, limit_seconds)
    count = len(is_key)
    keys = [place for place, key in enumerate(is_key) if key]
    few = count > _WHOLE and len(keys) >= max_frames
    chosen = {keys[place] for place in spread(len(keys), max_frames)} if few else None
    work = (len(chosen) if chosen else count) * stream.width * stream.height
    if work > _MOST_WORK:
        raise UnreadableCellError(
            f"{count:,} frames of {stream.width} x {stream.height} pixels, with few key frames, are too much to decode;"
            " encode it smaller or with more key frames"
        )
    with containers.opened(content, "video", max_pixels=max_pixels) as (container, stream):
        kept = _evenly(_frames(container, stream, chosen), max_frames, lambda frame: shrink(_pixels(frame)))
    if not kept:
        raise UnreadableCellError("empty: it holds no frames")
    return kept


def spread(count: int, most: int) -> list[int]:
    """Up to `most` of so many places, evenly, the first and the last among them.

    >>> spread(9, 3), spread(2, 3)
    ([0, 4, 8], [0, 1])
    """
    places: list[int] = np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()
    return places


def _evenly(frames: Iterator[Any], most: int, keep: Callable[[Any], _Kept]) -> list[_Kept]:
    """Some of the frames, evenly, though it is not known how many will come; at most 4 times as many are held."""
    kept: list[_Kept] = []
    step = 1
    for number, frame in enumerate(frames):
        if number % step:
            continue
        if len(kept) == 4 * most:
            kept, step = kept[::2], 2 * step  # number is a multiple of the new step, too
        kept.append(keep(frame))
    return [kept[place] for place in spread(len(kept), most)]


def _frames(container: Any, stream: Any, chosen: set[int] | None) -> Iterator[Any]:
    """The frames of a stream, or those of the chosen packets, each of which stands by itself."""
    number = -1
    for packet in container.demux(stream):
        if packet.size:
            number += 1
        if chosen is None:
            frames = packet.decode()
        elif number in chosen and packet.size:
            frames = [*packet.decode(), *stream.codec_context.decode(None)]
            stream.codec_context.flush_buffers()
        else:
            continue
        for frame in frames:
            if frame.is_corrupt:
                raise UnreadableCellError("damaged: a frame cannot be decoded whole")
            yield frame


def _pixels(frame: Any) -> Pixels:
    """A frame as RGB, upright; whatever is transparent is laid on white."""
    if any(component.is_alpha for component in frame.format.components) or frame.format.has_palette:
        rgba = frame.to_ndarray(format="rgba")
        opacity = rgba[..., 3:].astype(np.float32) / 255
        pixels = np.rint(rgba[..., :3] * opacity + 255 * (1 - opacity)).astype(np.uint8)
    else:
        pixels = frame.to_ndarray(format="rgb24")
    return _as_displayed(pixels, frame.side_data.get("DISPLAYMATRIX"))


def _as_displayed(pixels: Pixels, side_data: Any) -> UInt8[np.ndarray, "Y X 3"]:
    """A frame turned and mirrored as its display matrix says, to the nearest quarter turn (ISO/IEC 14496-12, 6.2.2).

    The pixel at (x, y) is shown at (a x + c y, b x + d y).
    """
    if side_data is None:
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5].tolist()
    if abs(a) + abs(d) < abs(b) + abs(c):  # x and y change places
        pixels, right, down = pixels.transpose(1, 0, 2), c, b
    else:
        right, down = a, d
    return np.ascontiguousarray(pixels[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1])
