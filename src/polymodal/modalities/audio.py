"""Audio: recordings in any common format, decoded to one channel at one sample rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import soxr
import torch
from jaxtyping import Float, Float32, Int16
from pydantic import Field

from polymodal.codecs import fingerprints, previews, recordings
from polymodal.codecs.limits import check_seconds
from polymodal.codecs.padding import pad
from polymodal.codecs.recognition import LOUDEST, count_sounds, is_waveform, recognise_media
from polymodal.codecs.recordings import SoundHeader
from polymodal.config.node import settings
from polymodal.config.run_config import LimitsConfig
from polymodal.errors import UnreadableCellError
from polymodal.layers.spectral import Mfcc
from polymodal.protocols import Modality, Recognition, Sample
from polymodal.types import Cells

Waveform: TypeAlias = Int16[np.ndarray, " S"]

FULL_SCALE = 32_767  # the stored value of 1.0

_NUM_MFCC = 20
_HEARD = 10.0  # seconds of a recording of several channels, to find out whether they cancel out


@settings
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

    sample_rate: Annotated[int, Field(ge=1_000, le=192_000)] = 16_000
    max_seconds: Annotated[float, Field(gt=0)] = 30.0
    limit_seconds: Annotated[float, Field(gt=0)] = 600.0
    noise: tuple[float, float] | None = None
    gain: Annotated[float, Field(ge=0)] = 6.0
    shift: Annotated[float, Field(ge=0)] = 0.1


class Audio(Modality):
    """Reads WAV, AIFF, AU, FLAC, Ogg (Vorbis, Opus) and MP3, known by content, and arrays; gives int16 [S] at one rate.

    With the extra `video` also AAC, m4a, FLAC and Speex in Ogg, and the sound of MP4, Matroska, WebM, AVI and FLV;
    without it the first of these is an error, not a reject. A column of such files is recognised as audio where they
    hold sound alone.

    Channels are averaged, any rate from 1 to 384 kHz is resampled (soxr, high quality), and what lies outside [-1, 1]
    is clipped. Arrays are [S] or [S, C] at the column's own sample rate: int16, or float in [-1, 1]. Unreadable are a
    recording that is empty or shorter than one sample, that holds NaN, infinity or samples beyond +-2 (16-bit values
    stored as float, most likely), or whose file ends too soon: fewer frames than its header claims, a data chunk or an
    Ogg page cut short, an Ogg stream without its last page. If a header holds no length, or a placeholder, the sound
    goes on to the end of the file. The links of a chained Ogg stream are one recording; files of other formats that
    were joined are unreadable.
    """

    Config: ClassVar[type] = AudioConfig
    media: ClassVar[bool] = True
    near: ClassVar[float] = 0.97

    def __init__(self, config: AudioConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.sample_rate = config.sample_rate

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """From half of the cells on: files or bytes that start as a recording, or arrays with the shape of one."""
        num_arrays = count_sounds(sample.values)
        return recognise_media(sample, "audio", recordings.FORMATS, num_arrays=num_arrays, arrays="samples")

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        """The lowest usual rate that keeps what most files hold; 95 of 100 files whole, up to 30 seconds."""
        headers = [recordings.measure(cell) for cell in cells if isinstance(cell, bytes)]
        found = [(header.rate, header.seconds) for header in headers if header and header.seconds is not None]
        settings: dict[str, Any] = {"limit_seconds": limits.seconds}
        if found:
            rates, seconds = zip(*found, strict=True)
            settings["sample_rate"] = 8_000 if float(np.median(rates)) <= 8_000 else 16_000
            settings["max_seconds"] = float(np.clip(math.ceil(float(np.percentile(seconds, 95))), 1, 30))
        return settings

    def read(self, cell: object) -> Waveform:
        if isinstance(cell, np.ndarray):
            mono, rate = _from_array(cell, self.config), self.sample_rate
        elif isinstance(cell, bytes):
            mono, rate = recordings.read_sound(
                cell, max_seconds=self.config.max_seconds, limit_seconds=self.config.limit_seconds
            )
        else:
            raise UnreadableCellError(f"not audio: a cell of type {type(cell).__name__}")
        if not np.isfinite(mono).all():
            raise UnreadableCellError("damaged: it holds samples that are NaN or infinite")
        if (peak := np.abs(mono).max(initial=0)) > LOUDEST:
            raise UnreadableCellError(f"samples reach {peak:g}; as float they lie in [-1, 1]")
        if rate != self.sample_rate:
            mono = soxr.resample(mono, rate, self.sample_rate)
        kept: np.ndarray = mono[: math.ceil(self.config.max_seconds * self.sample_rate)]
        if not kept.size:
            raise UnreadableCellError("empty: it holds no samples")
        return _to_int16(kept * FULL_SCALE)

    def note(self, cell: object) -> str | None:
        """That a recording is resampled, mixed to one channel, silent by that, or cut to `max_seconds`."""
        found = self._header(cell)
        if found is None:
            return None
        num_frames = round((found.seconds or 0.0) * found.rate)
        changes = {
            f"resampled from {found.rate} Hz to {self.sample_rate} Hz": found.rate != self.sample_rate,
            f"mixed from {found.channels} channels to one": found.channels > 1,
            "silent when mixed: its channels are each other's negative": found.channels > 1 and self._cancels_out(cell),
            f"cut to {self.config.max_seconds:g} s": num_frames > math.ceil(self.config.max_seconds * found.rate),
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
        cells = pad(arrays, torch.float32)
        return Cells(cells.values / FULL_SCALE, cells.lengths)

    def handcrafted_features(self, arrays: Sequence[np.ndarray | None]) -> Float[np.ndarray, "B F"]:
        """Mean and deviation of 20 MFCC over time, and the deviation of their changes; NaN where missing."""
        rows = [np.full(3 * _NUM_MFCC, np.nan) if array is None else self._summary(array) for array in arrays]
        return np.array(rows).reshape(-1, 3 * _NUM_MFCC)

    def measures(self, array: np.ndarray) -> dict[str, float]:
        """Length, and loudness in whole dB: 20 log10 of the root mean square, 0 at full scale, -100 in silence."""
        loudness = float(round(20 * math.log10(max(_rms(array) / FULL_SCALE, 1e-5))))
        return {"seconds": array.size / self.sample_rate, "loudness in dB": loudness}

    def fingerprints(self, arrays: Sequence[np.ndarray]) -> Float32[np.ndarray, "B F"]:
        return np.stack([fingerprints.sound(array) for array in arrays])

    def preview(self, cell: object) -> str:
        return previews.sound(self.read(cell) / np.float32(FULL_SCALE), self.sample_rate)

    def _header(self, cell: object) -> SoundHeader | None:
        if isinstance(cell, np.ndarray):
            num_channels = cell.shape[1] if cell.ndim == 2 else 1
            return SoundHeader(self.sample_rate, num_channels, len(cell) / self.sample_rate)
        return recordings.measure(cell, count=True) if isinstance(cell, bytes) else None

    def _cancels_out(self, cell: object) -> bool:
        seconds = min(self.config.max_seconds, _HEARD)
        return isinstance(cell, bytes | np.ndarray) and recordings.cancels_out(cell, max_seconds=seconds)

    @cached_property
    def _mfcc(self) -> Mfcc:
        return Mfcc(self.sample_rate, num_coefficients=_NUM_MFCC)

    def _summary(self, array: np.ndarray) -> np.ndarray:
        samples = torch.from_numpy(array.astype(np.float32) / FULL_SCALE)[None]
        coefficients = self._mfcc(samples, torch.tensor([len(array)]))[0].numpy()
        changes = np.diff(coefficients, axis=0, prepend=coefficients[:1])
        return np.concatenate([coefficients.mean(axis=0), coefficients.std(axis=0), changes.std(axis=0)])


def _from_array(array: np.ndarray, config: AudioConfig) -> np.ndarray:
    if not is_waveform(array):
        raise UnreadableCellError(
            f"not audio: an array of {array.dtype} and shape {array.shape}; expected [S] or [S, C] of int16 or float"
        )
    check_seconds(len(array) / config.sample_rate, config.limit_seconds)
    scale = 32_768 if array.dtype == np.int16 else 1
    samples = (array / scale).astype(np.float32)
    return samples if samples.ndim == 1 else samples.mean(axis=1)


def _to_int16(samples: np.ndarray) -> Waveform:
    clipped: np.ndarray = np.clip(np.rint(samples), -FULL_SCALE, FULL_SCALE)
    return clipped.astype(np.int16)


def _rms(array: np.ndarray) -> float:
    return math.sqrt(float(np.mean(np.square(array, dtype=np.float64))))
