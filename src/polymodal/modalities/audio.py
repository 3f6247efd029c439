"""Audio: recordings of any common format, rate and number of channels, brought to one channel and one rate."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import soundfile
import soxr
import torch
from jaxtyping import Float, Float32, Int16
from pydantic import ConfigDict, Field

from polymodal.codecs import fingerprints, flac, previews, soundtracks, waveforms
from polymodal.codecs import sniffing as formats
from polymodal.config.run_config import LimitsConfig
from polymodal.errors import UnreadableCellError
from polymodal.layers.spectral import Mfcc
from polymodal.protocols import Recognition, Sample
from polymodal.types import Cells

Waveform: TypeAlias = Int16[np.ndarray, " S"]

FULL_SCALE = 32_767  # the stored value of 1.0

_CONTAINERS = {formats.MP4, formats.MATROSKA, formats.AVI, formats.AAC}
_FORMATS = {formats.WAV, formats.FLAC, formats.OGG, formats.MP3, *_CONTAINERS}
_RATES = range(1_000, 384_001)  # Hz; outside of it a header is broken or made to do harm
_UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's number of frames where a header does not give it
# Of layer III, by the version in a frame's header: 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5.
_MP3_KBPS = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    0: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_BLOCK = 1 << 20  # samples, of all channels, that are decoded at once
_NUM_MFCC = 20


@dataclass(frozen=True)
class AudioConfig:
    """Settings of an audio column.

    Attributes:
        sample_rate: samples a second at which recordings are stored and enter the encoder.
        max_seconds: of a longer recording the first part is kept.
        limit_seconds: a recording longer than this is refused, by its header before anything is decoded.
        noise: in training, white noise at a signal-to-noise ratio between these two, in decibels; none where null.
        gain: louder or softer by up to so many decibels.
        shift: moved by up to so many seconds either way; what leaves at one end enters at the other.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    sample_rate: Annotated[int, Field(ge=1_000, le=192_000)] = 16_000
    max_seconds: Annotated[float, Field(gt=0)] = 30.0
    limit_seconds: Annotated[float, Field(gt=0)] = 600.0
    noise: tuple[float, float] | None = None
    gain: Annotated[float, Field(ge=0)] = 6.0
    shift: Annotated[float, Field(ge=0)] = 0.1


class Audio:
    """Reads WAV, FLAC, Ogg (Vorbis, Opus) and MP3, known by content, and arrays; gives int16 [S] at one rate.

    With the extra `video` also AAC, m4a, and the sound of MP4, Matroska, WebM and AVI; without it the first of these is
    an error, not a reject. A column of such files is recognised as audio where they hold sound alone.

    Channels are averaged, any rate from 1 to 384 kHz is resampled (soxr, high quality), and what lies outside [-1, 1]
    is clipped. Arrays are [S] or [S, C] at the column's own sample rate: int16, or float in [-1, 1]. Unreadable are a
    recording that is empty or shorter than one sample, that holds NaN, infinity or samples beyond +-2 (16-bit values
    stored as float, most likely), or whose file ends too soon: fewer frames than its header claims, a WAV data chunk or
    an Ogg page cut short, an Ogg stream without its last page; and an MP3 of varying bit rate that does not say how
    long it is.
    """

    Config: ClassVar[type] = AudioConfig
    group: ClassVar[str | None] = None
    media: ClassVar[bool] = True
    near: ClassVar[float] = 0.97

    def __init__(self, config: AudioConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config

    @property
    def sample_rate(self) -> int:
        return self.config.sample_rate

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """From half of the cells on: files or bytes that start as a recording, or arrays with the shape of one."""
        found = [formats.sniff(head) if head and formats.holds(head) == "audio" else None for head in sample.heads]
        names = sorted({format_.name for format_ in found if format_ in _FORMATS})
        num_files = sum(format_ in _FORMATS for format_ in found)
        num_arrays = waveforms.count_sounds(sample.values)
        num_cells = len(sample.values)
        count = max(num_files, num_arrays)
        if 2 * count < max(num_cells, 1):
            return None
        verb = "name files" if any(isinstance(value, str) for value in sample.values) else "hold bytes"
        what = f"{verb} that start as {' or '.join(names)}" if num_files >= num_arrays else "are arrays of samples"
        return Recognition(0.5 + 0.5 * count / num_cells, f"{count} of {num_cells} sampled cells {what}")

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        """The lowest usual rate that keeps what most files hold; 95 of 100 files whole, up to 30 seconds."""
        found = [measured for cell in cells if (measured := _measure(cell)) is not None]
        settings: dict[str, Any] = {"limit_seconds": limits.seconds}
        if found:
            rates, seconds = zip(*found, strict=True)
            settings["sample_rate"] = 8_000 if float(np.median(rates)) <= 8_000 else 16_000
            settings["max_seconds"] = float(np.clip(math.ceil(float(np.percentile(seconds, 95))), 1, 30))
        return settings

    def read(self, cell: object) -> Waveform:
        """One recording from the content of a file, or from an array."""
        if isinstance(cell, np.ndarray):
            mono, rate = _from_array(cell, self.config), self.sample_rate
        elif isinstance(cell, bytes):
            mono, rate = _decode(cell, self.config)
        else:
            raise UnreadableCellError(f"not audio: a cell of type {type(cell).__name__}")
        if not np.isfinite(mono).all():
            raise UnreadableCellError("damaged: it holds samples that are NaN or infinite")
        if (peak := np.abs(mono).max(initial=0)) > waveforms.LOUDEST:
            raise UnreadableCellError(f"samples reach {peak:g}; as float they lie in [-1, 1]")
        if rate != self.sample_rate:
            mono = soxr.resample(mono, rate, self.sample_rate)
        kept: np.ndarray = mono[: self._max_samples]
        if not kept.size:
            raise UnreadableCellError("empty: it holds no samples")
        return _to_int16(kept * FULL_SCALE)

    def remark(self, cell: object) -> str | None:
        """That a recording is resampled, mixed to one channel, or cut to `max_seconds`."""
        rate, num_channels, num_frames = _shape(cell, self.config)
        changes = {
            f"resampled from {rate} Hz to {self.sample_rate} Hz": rate != self.sample_rate,
            f"mixed from {num_channels} channels to one": num_channels > 1,
            f"cut to {self.config.max_seconds:g} s": num_frames > math.ceil(self.config.max_seconds * rate),
        }
        return ", ".join(words for words, happens in changes.items() if happens) or None

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """`median_seconds`; `level_mean` and `level_std` in dB."""
        lengths, levels = [], []
        for array in arrays:
            lengths.append(len(array))
            levels.append(20 * math.log10(_rms(array) / FULL_SCALE + 1e-5))  # silence is -100 dB
        if not lengths:
            return {"median_seconds": 0.0, "level_mean": 0.0, "level_std": 1.0}
        return {
            "median_seconds": float(np.median(lengths)) / self.sample_rate,
            "level_mean": float(np.mean(levels)),
            "level_std": float(np.std(levels)),
        }

    def augment(self, array: np.ndarray, rng: np.random.Generator) -> Waveform:
        """Moved in time, made louder or softer, with noise."""
        config = self.config
        shift, gain = rng.uniform(-1, 1, 2) * (config.shift * config.sample_rate, config.gain)
        samples = np.roll(array, round(shift)).astype(np.float32)
        if config.noise is not None:
            ratio = rng.uniform(*config.noise)
            noise = rng.standard_normal(len(array), dtype=np.float32)
            samples += noise * np.float32(_rms(array) / 10 ** (ratio / 20))
        samples *= np.float32(10 ** (gain / 20))
        return _to_int16(samples)

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Float32 "B S" in [-1, 1], zeros after a recording's end, S the longest of the batch; lengths in samples."""
        lengths = [0 if array is None else len(array) for array in arrays]
        values = torch.zeros(len(arrays), max(1, *lengths, 0))
        for row, array in enumerate(arrays):
            if array is not None:
                values[row, : len(array)] = torch.tensor(array)
        return Cells(values / FULL_SCALE, torch.tensor(lengths))

    def simple_features(self, arrays: Sequence[np.ndarray | None]) -> Float[np.ndarray, "B F"]:
        """Mean and deviation of 20 MFCC over time, and the deviation of their changes; NaN where missing."""
        rows = [np.full(3 * _NUM_MFCC, np.nan) if array is None else self._summary(array) for array in arrays]
        return np.array(rows).reshape(-1, 3 * _NUM_MFCC)

    def measures(self, array: np.ndarray) -> dict[str, float]:
        """Length, and loudness in whole dB: 20 log10 of the root mean square, 0 at full scale, -100 in silence."""
        loudness = float(round(20 * math.log10(max(_rms(array) / FULL_SCALE, 1e-5))))
        return {"seconds": array.size / self.sample_rate, "loudness in dB": loudness}

    def fingerprints(self, arrays: Sequence[np.ndarray]) -> Float32[np.ndarray, "B F"]:
        """How each recording's bands move in time."""
        return np.stack([fingerprints.sound(array) for array in arrays])

    def preview(self, cell: object) -> str:
        """A player."""
        return previews.sound(self.read(cell) / np.float32(FULL_SCALE), self.sample_rate)

    @property
    def _max_samples(self) -> int:
        return math.ceil(self.config.max_seconds * self.config.sample_rate)

    @cached_property
    def _mfcc(self) -> Mfcc:
        return Mfcc(self.sample_rate, num_coefficients=_NUM_MFCC)

    def _summary(self, array: np.ndarray) -> np.ndarray:
        samples = torch.from_numpy(array.astype(np.float32) / FULL_SCALE)[None]
        coefficients = self._mfcc(samples, torch.tensor([len(array)]))[0].numpy()
        changes = np.diff(coefficients, axis=0, prepend=coefficients[:1])
        return np.concatenate([coefficients.mean(axis=0), coefficients.std(axis=0), changes.std(axis=0)])


def _decode(content: bytes, config: AudioConfig) -> tuple[np.ndarray, int]:
    """One channel of float32, as long as it will be kept, and its rate."""
    format_ = formats.sniff(content)
    if format_ not in _FORMATS:
        raise UnreadableCellError(f"not audio: {formats.describe(content)}")
    if format_ in _CONTAINERS:
        return soundtracks.read_sound(
            content, rates=_RATES, max_seconds=config.max_seconds, limit_seconds=config.limit_seconds
        )
    if format_ == formats.WAV:
        _check_wav(content)
    elif format_ == formats.OGG:
        _check_ogg(content)
    try:
        with soundfile.SoundFile(BytesIO(flac.with_length(content))) as file:
            _check_header(file, config)
            if file.format == "MP3":
                _check_mp3(content, file.frames)
            return _read_mono(file, config), file.samplerate
    except soundfile.SoundFileError as error:
        reason = getattr(error, "error_string", str(error))  # the message itself would hold an address in memory
        raise UnreadableCellError(f"damaged {format_.name} file: {reason}") from error


def _measure(cell: object) -> tuple[int, float] | None:
    """Sample rate and seconds of a file, by its header alone; None where it is no audio."""
    if not isinstance(cell, bytes) or (format_ := formats.sniff(cell)) not in _FORMATS:
        return None
    if format_ in _CONTAINERS:
        found = soundtracks.measure(cell)
        return None if found is None or found.seconds is None else (found.rate, found.seconds)
    try:
        with soundfile.SoundFile(BytesIO(cell)) as file:
            return None if file.frames == _UNKNOWN_FRAMES else (file.samplerate, file.frames / file.samplerate)
    except soundfile.SoundFileError:
        return None


def _check_header(file: soundfile.SoundFile, config: AudioConfig) -> None:
    if file.samplerate not in _RATES:
        raise UnreadableCellError(f"a sample rate of {file.samplerate} Hz; {_RATES[0]} to {_RATES[-1]} are let in")
    if file.frames == _UNKNOWN_FRAMES:
        raise UnreadableCellError("its header does not say how long it is; encode it again")
    seconds = file.frames / file.samplerate
    if seconds > config.limit_seconds:
        raise UnreadableCellError(f"too long: {seconds:,.0f} seconds, at most {config.limit_seconds:,g} are let in")


def _read_mono(file: soundfile.SoundFile, config: AudioConfig) -> np.ndarray:
    """Decodes all of a file, in blocks, to see that it is whole; keeps `max_seconds` of its mean channel."""
    keep = math.ceil(config.max_seconds * file.samplerate)
    blocks, num_frames = [np.zeros(0, np.float32)], 0
    while len(block := file.read(_BLOCK // file.channels, dtype="float32", always_2d=True)):
        with np.errstate(invalid="ignore"):  # NaN, of which the whole recording is refused
            blocks.append(block[: max(0, keep - num_frames)].mean(axis=1))
        num_frames += len(block)
        if num_frames > config.limit_seconds * file.samplerate:
            raise UnreadableCellError(f"too long: more than the {config.limit_seconds:,g} seconds that are let in")
    if num_frames < file.frames:
        raise UnreadableCellError(f"truncated: {num_frames} of {file.frames} frames are there")
    return np.concatenate(blocks)


def _shape(cell: object, config: AudioConfig) -> tuple[int, int, int]:
    """Sample rate, channels and frames of a cell that can be read, a file's by its header alone."""
    if isinstance(cell, np.ndarray):
        return config.sample_rate, cell.shape[1] if cell.ndim == 2 else 1, len(cell)
    assert isinstance(cell, bytes)
    if formats.sniff(cell) in _CONTAINERS:
        found = soundtracks.measure(cell)
        assert found is not None, "it was read"
        return found.rate, found.channels, round((found.seconds or 0.0) * found.rate)
    with soundfile.SoundFile(BytesIO(flac.with_length(cell))) as file:
        return file.samplerate, file.channels, file.frames


def _check_wav(content: bytes) -> None:
    """The data chunk must be whole: libsndfile would shorten the recording without a word.

    A length of 2^32 - 1 is what programs write that do not know it yet: then the data end with the file.
    """
    start = 12
    while start + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, start)
        start += 8
        if name == b"data":
            there = len(content) - start
            if there < length != 2**32 - 1:
                raise UnreadableCellError(f"truncated: {there} of {length} bytes of sound are there")
            return
        start += length + length % 2


def _check_ogg(content: bytes) -> None:
    """The last page must be whole and be marked as the last one (RFC 3533, section 6)."""
    page = content.rfind(b"OggS")
    header = content[page : page + 27]
    num_segments = header[26] if len(header) == 27 else 0
    segments = content[page + 27 : page + 27 + num_segments]
    whole = len(segments) == num_segments and page + 27 + num_segments + sum(segments) <= len(content)
    if len(header) < 27 or not whole or not header[5] & 4:
        raise UnreadableCellError("truncated: the stream ends before its last page")


def _check_mp3(content: bytes, num_frames: int) -> None:
    """Without an index libsndfile guesses the length by the first bit rate, and leaves out what lies behind."""
    samples = _mp3_samples(content)
    if samples > num_frames + 8 * 1_152:  # the padding at both ends, which an index tells of, is shorter
        raise UnreadableCellError(
            f"an MP3 of varying bit rate without an index: only {num_frames} of about {samples} samples would be read;"
            " encode it again"
        )


def _mp3_samples(content: bytes) -> int:
    """Samples by the headers of the frames (ISO/IEC 11172-3, 2.4.1.3); one counts where another follows it."""
    place, samples = 0, 0
    if content.startswith(b"ID3"):  # a tag, its length in four times seven bits
        place = 10 + sum((byte & 127) << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=False))
    while 0 <= (place := content.find(b"\xff", place)) < len(content) - 4:
        version, bits = content[place + 1] >> 3 & 3, content[place + 2]
        step = 1
        if content[place + 1] & 0xE6 == 0xE2 and version in _MP3_KBPS and bits >> 4 < 15 and bits >> 2 & 3 < 3:
            length = 1_152 if version == 3 else 576
            size = length * 125 * _MP3_KBPS[version][bits >> 4] // _MP3_RATES[version][bits >> 2 & 3] + (bits >> 1 & 1)
            if size > 4 and content[place + size : place + size + 2] == content[place : place + 2]:
                step, samples = size, samples + length
        place += step
    return samples


def _from_array(array: np.ndarray, config: AudioConfig) -> np.ndarray:
    if not waveforms.is_waveform(array):
        raise UnreadableCellError(
            f"not audio: an array of {array.dtype} and shape {array.shape}; expected [S] or [S, C] of int16 or float"
        )
    if len(array) > config.limit_seconds * config.sample_rate:
        seconds = len(array) / config.sample_rate
        raise UnreadableCellError(f"too long: {seconds:,.0f} seconds, at most {config.limit_seconds:,g} are let in")
    scale = 32_768 if array.dtype == np.int16 else 1
    samples = (array / scale).astype(np.float32)
    return samples if samples.ndim == 1 else samples.mean(axis=1)


def _to_int16(samples: np.ndarray) -> Waveform:
    clipped: np.ndarray = np.clip(np.rint(samples), -FULL_SCALE, FULL_SCALE)
    return clipped.astype(np.int16)


def _rms(array: np.ndarray) -> float:
    return math.sqrt(float(np.mean(np.square(array, dtype=np.float64))))
