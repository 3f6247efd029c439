"""When the words of transcripts are spoken, over spectrograms of the recordings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as Pillow

from polymodal.abilities import Timed
from polymodal.codecs import previews
from polymodal.data.cells.prepare import modality_of
from polymodal.inference.timing import TimedText, TimedWord, Timing
from polymodal.layers.spectral import POWER_FLOOR, LogSpectrogram
from polymodal.models.model import Model
from polymodal.report.drawing import evenly
from polymodal.report.formatting import tick
from polymodal.report.subject import ReportedRun, Section
from polymodal.types import Texts

_SHOWN = 4
_NUM_MELS = 64
_MOST_STEPS = 800  # of a spectrogram
_RANGE = 60.0  # dB below the loudest that are told apart
_MOST_TICKS = 6
_LAST_TICK = 92.0  # percent; behind it there is no room for its number
_TICK_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


@dataclass(frozen=True)
class DrawnWord:
    """A word over a spectrogram: where it begins and how long it is, in percent of the width."""

    text: str
    left: float
    width: float
    words: str


@dataclass(frozen=True)
class DrawnAlignment:
    """A recording with the words of its transcript.

    Attributes:
        where: its row.
        source: address of the spectrogram, which holds it; time goes to the right, and frequency up.
        ticks: places in percent, and the seconds there.
        refusal: why no words are drawn.
    """

    where: str
    predicted: str
    true: str
    note: str
    source: str
    seconds: float
    words: list[DrawnWord]
    ticks: list[tuple[float, str]]
    refusal: str | None


def alignment(subject: ReportedRun) -> Section | None:
    """Rows from the nearest to the farthest text; nothing for models that know no time, or not that of a sound."""
    bundle = subject.run.bundle
    outcome = next((one for one in subject.outcomes if isinstance(one, Texts)), None)
    if outcome is None or not isinstance(bundle.task, Timed) or not isinstance(bundle.model, Model):
        return None
    timing = Timing(bundle, bundle.config.device)
    (name, *others) = bundle.model.columns[timing.anchor]
    column = next(column for column in bundle.schema.features() if column.name == name)
    if column.modality != "audio" or others:
        return None
    rate: int = modality_of(column).sample_rate  # type: ignore[attr-defined] # of audio
    order = np.argsort(-outcome.scores, kind="stable")
    places = order[evenly(len(order), _SHOWN)]
    table = subject.run.table.take(outcome.rows[places])
    drawn = [
        _drawn(subject.where(int(outcome.rows[n])), _of_text(outcome, int(n)), timed, samples, rate=rate)
        for n, (_, timed), samples in zip(places, timing.transcribed(table), timing.sounds(table), strict=True)
        if len(samples)
    ]
    return Section("alignment", "When words are spoken", {"drawn": drawn, "top": rate / 2_000}, "Words in time")


def _of_text(outcome: Texts, place: int) -> tuple[str, str, str]:
    return outcome.predicted[place].strip() or "(empty)", outcome.target[place], outcome.notes[place]


def _drawn(
    where: str, texts: tuple[str, str, str], timed: TimedText, samples: Float[np.ndarray, " S"], *, rate: int
) -> DrawnAlignment:
    seconds = len(samples) / rate
    step = next((one for one in _TICK_SECONDS if seconds <= one * _MOST_TICKS), _TICK_SECONDS[-1])
    at = np.arange(0, seconds, step).tolist()
    return DrawnAlignment(
        where,
        *texts,
        source=previews.jpeg(Pillow.fromarray(spectrogram(samples, rate))),
        seconds=round(seconds, 2),
        words=[_word(word, seconds) for word in timed.words],
        ticks=[(place, f"{tick(one, at)} s") for one in at if (place := round(100 * one / seconds, 2)) <= _LAST_TICK],
        refusal=timed.refusal,
    )


def _word(word: TimedWord, seconds: float) -> DrawnWord:
    words = f"{word.text}: {word.start:.2f} s to {word.end:.2f} s"
    left, right = (100 * min(one / seconds, 1.0) for one in (word.start, word.end))
    return DrawnWord(word.text, round(left, 2), round(right - left, 2), words)


def spectrogram(samples: Float[np.ndarray, " S"], rate: int) -> np.ndarray:
    """Log-mel spectrogram as grey values [mels, steps], the lowest band at the bottom.

    Black is the loudest, and white what is 60 dB below it or lies at the floor of the logarithm.
    """
    hop = max(0.010, len(samples) / rate / _MOST_STEPS)
    extract = LogSpectrogram(rate, num_mels=_NUM_MELS, hop_seconds=hop, window_seconds=max(0.025, hop))
    (power,) = extract(torch.from_numpy(samples)[None].float(), torch.tensor([len(samples)])).numpy()
    decibels = 10 / math.log(10) * power
    loudest = max(float(decibels.max()), 10 * math.log10(POWER_FLOOR) + _RANGE)  # silence stays white
    shade = np.clip(1 + (decibels - loudest) / _RANGE, 0, 1)
    grey: np.ndarray = np.rint(255 * (1 - shade)).astype(np.uint8).T[::-1]
    return grey
