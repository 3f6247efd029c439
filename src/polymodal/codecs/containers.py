"""Opens MP4, Matroska, AVI, FLV, Ogg, AAC and GIF with PyAV: whole files, by a fixed demuxer, nothing beside them.

The demuxer is chosen by what the content begins as, never guessed by FFmpeg, so that a playlist, a list of files or a
session description is no input at all; and whatever a container refers to outside of itself stays closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Literal, NoReturn

from polymodal.codecs import sniffing as formats
from polymodal.codecs.truncation import check_end
from polymodal.errors import UnreadableCellError, needs_extra

DEMUXERS = {
    formats.MP4: "mov",
    formats.MATROSKA: "matroska",
    formats.AVI: "avi",
    formats.FLV: "flv",
    formats.AAC: "aac",
    formats.OGG: "ogg",
    formats.GIF: "gif",
}
_MOST_PACKETS = 1_000_000
_PLACEHOLDER = 2**30  # of frames: what a program writes that cannot go back; no video has so many


@contextmanager
def opened(
    content: bytes, kind: Literal["video", "audio"], *, max_pixels: int | None = None
) -> Iterator[tuple[Any, Any]]:
    """A container whose format is one of `DEMUXERS`, and its first stream of pictures or sound.

    FFmpeg refuses frames of more than `max_pixels` pixels before it allocates them.

    Raises:
        UnreadableCellError: truncated or damaged, also where that shows while it is read; no such stream.
        MissingExtraError: PyAV is not installed.
    """
    format_ = formats.sniff(content)
    assert format_ is not None, "checked by the modality"
    with needs_extra("av", "video", f"Reading {format_.name} files"):
        import av
    check_end(content, format_)
    options = {"enable_drefs": "0", "protocol_whitelist": "none"}
    if max_pixels is not None:
        options["max_pixels"] = str(max_pixels)
    try:
        with av.open(
            BytesIO(content), format=DEMUXERS[format_], options=options, io_open=_refuse, metadata_errors="replace"
        ) as container:
            streams = container.streams.video if kind == "video" else container.streams.audio
            if not streams:
                what, other = ("no pictures", "audio") if kind == "video" else ("no sound", "video")
                raise UnreadableCellError(
                    f"a {format_.name} file that holds {what}; if all of the column are so, it is of modality {other}"
                )
            # One thread: cells are read in several. Errors are told instead of being painted over.
            context = streams[0].codec_context
            if context is None:
                raise UnreadableCellError(f"a {format_.name} file in a coding that is not known")
            context.thread_count = 1
            context.options = {"err_detect": "explode", **({"max_pixels": str(max_pixels)} if max_pixels else {})}
            yield container, streams[0]
    except UnreadableCellError:  # a ValueError too
        raise
    except (av.error.FFmpegError, OSError, ValueError, OverflowError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableCellError(f"damaged {format_.name} file: {reason}") from error


def packets(container: Any, stream: Any) -> tuple[list[bool], float | None]:
    """Walks through the packets of a stream without decoding them.

    Returns:
        Of each packet, whether it can be decoded without those before it; and the seconds from the first to the end of
        the last, None where they carry no times.

    Raises:
        UnreadableCellError: there are none, fewer than the header says, or one of them is cut short.
    """
    keys: list[bool] = []
    first, last = None, None
    for packet in container.demux(stream):
        if not packet.size:  # the end
            continue
        if packet.is_corrupt or len(keys) == _MOST_PACKETS:
            raise UnreadableCellError("truncated: a packet is cut short" if packet.is_corrupt else "too many packets")
        keys.append(bool(packet.is_keyframe))
        if packet.pts is not None:
            first = packet.pts if first is None else min(first, packet.pts)
            last = max(packet.pts + (packet.duration or 0), packet.pts if last is None else last)
    if not keys:
        raise UnreadableCellError("empty: it holds no frames")
    if len(keys) < stated_frames(stream):
        raise UnreadableCellError(f"truncated: {len(keys)} of {stream.frames} packets are there")
    if first is None or last is None or stream.time_base is None:
        return keys, None
    return keys, float((last - first) * stream.time_base)


def stated_frames(stream: Any) -> int:
    """The number of frames that the header states; 0 where it states none, or a placeholder."""
    frames: int = stream.frames
    return frames if frames < _PLACEHOLDER else 0


def stated_seconds(container: Any, stream: Any) -> float | None:
    """The length that the header states, which may be wrong; None where it states none."""
    if stream.frames >= _PLACEHOLDER:
        return None
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration and container.duration > 0 else None


def _refuse(url: str, flags: int, options: object) -> NoReturn:  # noqa: ARG001 - as PyAV calls it
    raise PermissionError(f"a media file refers to another one: {url!r}")
