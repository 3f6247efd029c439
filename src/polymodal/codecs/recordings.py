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

from polymodal.codecs import containers, mp3, ogg, sound_lengths
from polymodal.codecs import sniffing as formats
from polymodal.codecs.limits import check_seconds
from polymodal.errors import UnreadableCellError

_CONTAINERS = {formats.MP4, formats.MATROSKA, formats.AVI, formats.FLV, formats.AAC}
FORMATS = frozenset({formats.WAV, formats.AIFF, formats.AU, formats.FLAC, formats.OGG, formats.MP3, *_CONTAINERS})
_RATES = range(1_000, 384_001)  # Hz; outside of it a header is broken or made to do harm
_UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's number of frames where a header does not give it
_AUDIBLE, _SILENT = 1e-8, 1e-4  # mean power of full scale; share of it that is left of channels that cancel
_BLOCK = 1 << 20  # samples, of all channels, that are decoded at once
_MP3_PADDING = 4 * 1_152  # samples; an index has 12 bits to tell how much of the end is padding
_ID3V1 = 128  # bytes of a tag that some programs put behind the last frame
_JOINED_FLAC = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")  # how every FLAC begins


@dataclass(frozen=True)
class SoundHeader:
    """What a header says of a sound; `seconds` is None where it does not say."""

    rate: int
    channels: int
    seconds: float | None


class _Stream(BytesIO):
    """A file in memory; a damaged header may send libsndfile to a place before its start, which must not print."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


@contextmanager
def _opened(stream: BytesIO) -> Iterator[soundfile.SoundFile]:
    """A file to be decoded from the first sample to the last, without seeking.

    In a FLAC that does not say how long it is nothing can be sought. And after each block soundfile would seek to where
    it is already, which costs an MP3 what its next frames need of those before.
    """
    with soundfile.SoundFile(stream) as file:
        file.seekable = lambda: False
        yield file


def _blocks(file: soundfile.SoundFile, left: int | None) -> Iterator[Float32[np.ndarray, "S C"]]:
    """So many samples, which the header states; of what may follow, such as tags, FLAC and Opus would fail."""
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
    try:
        headers = [_measure_part(part, count) for part in _parts(content)]
    except (UnreadableCellError, soundfile.SoundFileError):
        return None
    if not headers:
        return None
    seconds = [header.seconds for header in headers if header.seconds is not None]
    total = sum(seconds) if len(seconds) == len(headers) else None
    return SoundHeader(headers[0].rate, max(header.channels for header in headers), total)


def read_sound(content: bytes, *, max_seconds: float, limit_seconds: float) -> tuple[Float32[np.ndarray, " S"], int]:
    """The mean of the channels, as the file has it, and its rate: `max_seconds` of it.

    Args:
        content: of a file; the recordings of a chained Ogg stream follow each other.
        max_seconds: more is not kept, but outside of containers decoded to see that it is whole.
        limit_seconds: a longer sound is refused, by its header before it is decoded.

    Raises:
        UnreadableCellError: no recording, one without sound, damaged, truncated, or beyond a limit.
        MissingExtraError: a container, and PyAV is not installed.
    """
    if formats.sniff(content) not in FORMATS:
        raise UnreadableCellError(f"not audio: {formats.describe(content)}")
    blocks, rates, before = [np.zeros(0, np.float32)], list[int](), 0.0
    for part in _parts(content):
        left = max(0.0, max_seconds - before), limit_seconds - before
        mono, rate = _read_in_container(part, *left) if _is_contained(part) else _read_part(part, *left)
        blocks.append(mono)
        rates.append(rate)
        before += len(mono) / rate
    if len(set(rates)) > 1:
        raise UnreadableCellError("its sample rate changes midway")
    return np.concatenate(blocks), rates[0]


def cancels_out(content: bytes | np.ndarray, *, max_seconds: float) -> bool:
    """Whether the mean of the channels of a recording or an array [S, C] is silent, though they are not."""
    if isinstance(content, np.ndarray):
        return content.ndim == 2 and _cancel_out(
            content.astype(np.float64) / (32_768 if content.dtype == np.int16 else 1)
        )
    try:
        for part in () if _is_contained(content) else _parts(content):
            with _opened(_Stream(part)) as file:
                if file.channels > 1:
                    return _cancel_out(file.read(math.ceil(max_seconds * file.samplerate), always_2d=True))
    except (UnreadableCellError, soundfile.SoundFileError):  # told when the cell is read
        return False
    return False


def _parts(content: bytes) -> list[bytes]:
    """The recordings that a file holds, nearly always one, each with its true length in its header.

    Raises:
        UnreadableCellError: truncated, or joined of several recordings of which only the first would be read.
    """
    format_ = formats.sniff(content)
    if format_ == formats.OGG:
        return ogg.links(content)
    if format_ in {formats.WAV, formats.AIFF, formats.AU}:
        return [sound_lengths.completed(content)]
    if format_ == formats.FLAC and any(content.find(start, 4) > 0 for start in _JOINED_FLAC):
        raise UnreadableCellError("several recordings joined into one file; only the first would be read")
    return [_without_tag(content)] if format_ in FORMATS else []


def _is_contained(content: bytes) -> bool:
    """Whether PyAV decodes it, for libsndfile does not."""
    format_ = formats.sniff(content)
    return format_ in _CONTAINERS or (format_ == formats.OGG and not ogg.is_plain(content))


def _measure_part(content: bytes, count: bool) -> SoundHeader:
    if _is_contained(content):
        with containers.opened(content, "audio") as (container, stream):
            return SoundHeader(stream.rate, stream.channels, containers.stated_seconds(container, stream))
    counted = mp3.count_frames(content) if formats.sniff(content) == formats.MP3 else None
    with _opened(_Stream(content)) as file:
        num_frames = counted.num_samples if counted else _stated_frames(file)
        if num_frames is None and count:
            num_frames = sum(map(len, _blocks(file, None)))
        seconds = None if num_frames is None else num_frames / file.samplerate
        return SoundHeader(file.samplerate, file.channels, seconds)


def _read_part(content: bytes, max_seconds: float, limit_seconds: float) -> tuple[Float32[np.ndarray, " S"], int]:
    """What libsndfile reads."""
    format_ = formats.sniff(content)
    assert format_ is not None, "checked by the caller"
    if format_ == formats.MP3 and (counted := mp3.count_frames(content)) is not None:
        return _read_counted(content, counted, max_seconds, limit_seconds)
    stream, unstated = _Stream(content), False
    try:
        with _opened(stream) as file:
            unstated = _stated_frames(file) is None
            _check_rate(file.samplerate)
            if unstated and file.format != "FLAC":
                raise UnreadableCellError("its header does not say how long it is; encode it again")
            check_seconds(None if unstated else file.frames / file.samplerate, limit_seconds)
            mono = _read_mono(file, max_seconds, limit_seconds, whole=_stated_frames(file))
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


def _read_counted(
    content: bytes, counted: mp3.CountedFrames, max_seconds: float, limit_seconds: float
) -> tuple[Float32[np.ndarray, " S"], int]:
    """An MP3 without an index: libsndfile guesses its length by the first bit rate, and reads no more than that.

    A guess that is too long does no harm; for one that is too short, silence is put behind the last frame.
    """
    whole = counted.num_samples
    try:
        with _opened(_Stream(content)) as file:
            _check_rate(file.samplerate)
            check_seconds(whole / file.samplerate, limit_seconds)
            guess = int(file.frames)
            if guess >= whole:
                return _read_mono(file, max_seconds, limit_seconds, whole=whole), file.samplerate
        with _opened(_Stream(counted.lengthened(content, guess))) as file:
            return _read_mono(file, max_seconds, limit_seconds, whole=whole), file.samplerate
    except soundfile.SoundFileError as error:
        raise UnreadableCellError(f"damaged MP3 file: {getattr(error, 'error_string', error)}") from error


def _without_tag(content: bytes) -> bytes:
    """A FLAC less an ID3v1 tag, which libsndfile would take for a damaged frame; any other content as it is."""
    tagged = content.startswith(b"fLaC") and content[-_ID3V1:].startswith(b"TAG")
    return content[:-_ID3V1] if tagged else content


def _stated_frames(file: soundfile.SoundFile) -> int | None:
    return None if file.frames == _UNKNOWN_FRAMES else int(file.frames)


def _read_mono(
    file: soundfile.SoundFile, max_seconds: float, limit_seconds: float, *, whole: int | None
) -> Float32[np.ndarray, " S"]:
    """Decodes all of a file, in blocks, to see that it is `whole`; keeps `max_seconds` of its mean channel."""
    keep = math.ceil(max_seconds * file.samplerate)
    blocks, num_frames = [np.zeros(0, np.float32)], 0
    for block in _blocks(file, whole):
        with np.errstate(invalid="ignore"):  # NaN, of which the whole recording is refused
            blocks.append(block[: max(0, keep - num_frames)].mean(axis=1))
        num_frames += len(block)
        if num_frames > limit_seconds * file.samplerate:
            raise UnreadableCellError(f"too long: more than the {limit_seconds:,g} seconds that are let in")
    if num_frames < (whole or 0):
        raise UnreadableCellError(f"truncated: {num_frames} of {whole} frames are there")
    return np.concatenate(blocks)


def _check_mp3(content: bytes, end: int, num_frames: int) -> None:
    """By its index libsndfile leaves out what lies behind: the index is of another file, or files were joined."""
    try:
        with _opened(_Stream(content[end:])) as rest:
            more = len(rest.read(_MP3_PADDING + 1))
    except soundfile.SoundFileError:  # tags, or nothing
        return
    if more > _MP3_PADDING:
        raise UnreadableCellError(
            f"an MP3 whose index ends before its sound, as where files were joined: only {num_frames} of about"
            f" {num_frames * len(content) // end} samples would be read; encode it again"
        )


def _is_damaged(flac: bytes) -> bool:
    """Whether libsndfile finds a fault; it finds none where up to five bytes follow the last whole frame."""
    try:
        with _opened(_Stream(flac)) as file:
            for _ in _blocks(file, _stated_frames(file)):
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


def _cancel_out(samples: np.ndarray) -> bool:
    if not samples.size:
        return False
    power, of_mean = float(np.square(samples).mean()), float(np.square(samples.mean(axis=1)).mean())
    return power > _AUDIBLE and of_mean < _SILENT * power


def _check_rate(rate: int) -> None:
    if rate not in _RATES:
        raise UnreadableCellError(f"a sample rate of {rate} Hz; {_RATES[0]} to {_RATES[-1]} are let in")
