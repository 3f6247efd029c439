"""Reads recordings of any common format, known by content: libsndfile decodes them, PyAV those inside of containers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import soundfile
from jaxtyping import Float32

from polymodal.codecs import containers
from polymodal.codecs import sniffing as formats
from polymodal.codecs.limits import check_seconds
from polymodal.codecs.truncation import check_end
from polymodal.errors import UnreadableCellError

_CONTAINERS = {formats.MP4, formats.MATROSKA, formats.AVI, formats.AAC}
FORMATS = frozenset({formats.WAV, formats.FLAC, formats.OGG, formats.MP3, *_CONTAINERS})
_RATES = range(1_000, 384_001)  # Hz; outside of it a header is broken or made to do harm
_UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's number of frames where a header does not give it
_BLOCK = 1 << 20  # samples, of all channels, that are decoded at once
_MP3_PADDING = 4 * 1_152  # samples; an index has 12 bits to tell how much of the end is padding
_ID3V1 = 128  # bytes of a tag that some programs put behind the last frame


@dataclass(frozen=True)
class SoundHeader:
    """What a header says of a sound; `seconds` is None where it does not say."""

    rate: int
    channels: int
    seconds: float | None


@contextmanager
def _opened(stream: BytesIO) -> Iterator[soundfile.SoundFile]:
    """A file to be decoded from the first sample to the last, without seeking.

    In a FLAC that does not say how long it is nothing can be sought. And after each block soundfile would seek to where
    it is already, which costs an MP3 what its next frames need of those before.
    """
    with soundfile.SoundFile(stream) as file:
        file.seekable = lambda: False
        yield file


def _blocks(file: soundfile.SoundFile) -> Iterator[Float32[np.ndarray, "S C"]]:
    """All samples that the header states; of what may follow, such as tags, FLAC and Opus would fail."""
    left = _stated_frames(file)
    size = _BLOCK // file.channels
    while len(block := file.read(size if left is None else min(size, left), dtype="float32", always_2d=True)):
        left = None if left is None else left - len(block)
        yield block


def measure(content: bytes, *, count: bool = False) -> SoundHeader | None:
    """By the header alone; None where the content is no recording, or too damaged to tell.

    To `count`, a file that does not say how long it is is decoded.

    Raises:
        MissingExtraError: a container, and PyAV is not installed.
    """
    format_ = formats.sniff(content)
    if format_ not in FORMATS:
        return None
    try:
        if format_ in _CONTAINERS:
            with containers.opened(content, "audio") as (container, stream):
                return SoundHeader(stream.rate, stream.channels, containers.stated_seconds(container, stream))
        with _opened(BytesIO(_without_tag(content))) as file:
            num_frames = _stated_frames(file)
            if num_frames is None and count:
                num_frames = sum(map(len, _blocks(file)))
            seconds = None if num_frames is None else num_frames / file.samplerate
            return SoundHeader(file.samplerate, file.channels, seconds)
    except (UnreadableCellError, soundfile.SoundFileError):
        return None


def read_sound(content: bytes, *, max_seconds: float, limit_seconds: float) -> tuple[Float32[np.ndarray, " S"], int]:
    """The mean of the channels, as the file has it, and its rate: `max_seconds` of it.

    Args:
        content: of a file.
        max_seconds: more is not kept, but outside of containers decoded to see that it is whole.
        limit_seconds: a longer sound is refused, by its header before it is decoded.

    Raises:
        UnreadableCellError: no recording, one without sound, damaged, truncated, or beyond a limit.
        MissingExtraError: a container, and PyAV is not installed.
    """
    format_ = formats.sniff(content)
    if format_ is None or format_ not in FORMATS:
        raise UnreadableCellError(f"not audio: {formats.describe(content)}")
    if format_ in _CONTAINERS:
        return _read_in_container(content, max_seconds, limit_seconds)
    check_end(content, format_)
    content = _without_tag(content)
    stream, unstated = BytesIO(content), False
    try:
        with _opened(stream) as file:
            unstated = _stated_frames(file) is None
            _check_rate(file.samplerate)
            if unstated and file.format != "FLAC":
                raise UnreadableCellError("its header does not say how long it is; encode it again")
            check_seconds(None if unstated else file.frames / file.samplerate, limit_seconds)
            mono = _read_mono(file, max_seconds, limit_seconds)
            if format_ == formats.MP3:
                _check_mp3(content, stream.tell(), file.frames)
            if not unstated or _is_damaged(content[:-1]):
                return mono, file.samplerate
    except soundfile.SoundFileError as error:
        if not unstated:
            reason = getattr(error, "error_string", str(error))  # the message itself would hold an address in memory
            raise UnreadableCellError(f"damaged {format_.name} file: {reason}") from error
    raise UnreadableCellError(
        "truncated or damaged: it does not end with a whole frame, and its header does not say how long it is"
    )


def _without_tag(content: bytes) -> bytes:
    """A FLAC less an ID3v1 tag, which libsndfile would take for a damaged frame; any other content as it is."""
    tagged = content.startswith(b"fLaC") and content[-_ID3V1:].startswith(b"TAG")
    return content[:-_ID3V1] if tagged else content


def _stated_frames(file: soundfile.SoundFile) -> int | None:
    return None if file.frames == _UNKNOWN_FRAMES else int(file.frames)


def _read_mono(file: soundfile.SoundFile, max_seconds: float, limit_seconds: float) -> Float32[np.ndarray, " S"]:
    """Decodes all of a file, in blocks, to see that it is whole; keeps `max_seconds` of its mean channel."""
    keep = math.ceil(max_seconds * file.samplerate)
    blocks, num_frames = [np.zeros(0, np.float32)], 0
    for block in _blocks(file):
        with np.errstate(invalid="ignore"):  # NaN, of which the whole recording is refused
            blocks.append(block[: max(0, keep - num_frames)].mean(axis=1))
        num_frames += len(block)
        if num_frames > limit_seconds * file.samplerate:
            raise UnreadableCellError(f"too long: more than the {limit_seconds:,g} seconds that are let in")
    if num_frames < (_stated_frames(file) or 0):
        raise UnreadableCellError(f"truncated: {num_frames} of {file.frames} frames are there")
    return np.concatenate(blocks)


def _check_mp3(content: bytes, end: int, num_frames: int) -> None:
    """Without an index libsndfile guesses the length by the first bit rate, and leaves out what lies behind."""
    try:
        with _opened(BytesIO(content[end:])) as rest:
            more = len(rest.read(_MP3_PADDING + 1))
    except soundfile.SoundFileError:  # tags, or nothing
        return
    if more > _MP3_PADDING:
        raise UnreadableCellError(
            f"an MP3 of varying bit rate without an index: only {num_frames} of about"
            f" {num_frames * len(content) // end} samples would be read; encode it again"
        )


def _is_damaged(flac: bytes) -> bool:
    """Whether libsndfile finds a fault; it finds none where up to five bytes follow the last whole frame."""
    try:
        with _opened(BytesIO(flac)) as file:
            for _ in _blocks(file):
                pass
    except soundfile.SoundFileError:
        return True
    return False


def _read_in_container(
    content: bytes, max_seconds: float, limit_seconds: float
) -> tuple[Float32[np.ndarray, " S"], int]:
    with containers.opened(content, "audio") as (container, stream):
        rate = stream.rate
        _check_rate(rate)
        _, seconds = containers.packets(container, stream)
        check_seconds(seconds, limit_seconds)
    import av  # `opened` has said so where it is not installed

    keep = math.ceil(max_seconds * rate)
    blocks, num_samples = [np.zeros(0, np.float32)], 0
    with containers.opened(content, "audio") as (container, stream):
        plain = av.AudioResampler(format="fltp")  # sample format alone: channels and rate stay
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise UnreadableCellError("damaged: a part of it cannot be decoded")
            if frame.sample_rate != rate:
                raise UnreadableCellError("its sample rate changes midway")
            for part in plain.resample(frame):
                block = part.to_ndarray()[:, : keep - num_samples].mean(axis=0)
                blocks.append(block)
                num_samples += len(block)
            if num_samples >= keep:
                break
    return np.concatenate(blocks), rate


def _check_rate(rate: int) -> None:
    if rate not in _RATES:
        raise UnreadableCellError(f"a sample rate of {rate} Hz; {_RATES[0]} to {_RATES[-1]} are let in")
