"""Synthetic speech for recipes, from the eSpeak NG library that the wheel `espeakng-loader` carries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from polymodal.errors import PolymodalError, needs_extra


@dataclass(frozen=True)
class Utterance:
    """A text and how to say it.

    Attributes:
        voice: an eSpeak NG language and variant: `en-us+f2`.
        rate: words a minute, 80 to 450.
        pitch: 0 to 99; 50 is the voice's own.
    """

    text: str
    voice: str
    rate: int = 175
    pitch: int = 50


class SpokenWord(NamedTuple):
    """A word of an utterance: its place in the text and its length, in characters, and when it begins, in seconds."""

    place: int
    length: int
    start: float


def speak(utterances: Sequence[Utterance], *, sample_rate: int) -> Iterator[np.ndarray]:
    """What the utterances sound like: for each a float32 array [samples] in [-1, 1].

    The same sequence of utterances always sounds the same; an utterance depends a little on those before it.

    Raises:
        MissingExtraError: `espeakng-loader` is not installed.
        PolymodalError: eSpeak NG failed, with what it said.
    """
    return (wave for wave, _ in speak_words(utterances, sample_rate=sample_rate))


def speak_words(
    utterances: Sequence[Utterance], *, sample_rate: int
) -> Iterator[tuple[np.ndarray, tuple[SpokenWord, ...]]]:
    """The same, and when the words of each utterance begin; words said as one, such as `of a`, begin together.

    Raises:
        MissingExtraError: `espeakng-loader` is not installed.
        PolymodalError: eSpeak NG failed, with what it said.
    """
    with needs_extra("espeakng-loader", "demo", "Synthetic speech"):
        import espeakng_loader
    import soxr

    program = Path(__file__).with_name("_espeak.py")
    paths = [espeakng_loader.get_library_path(), espeakng_loader.get_data_path()]
    done = subprocess.run(
        [sys.executable, "-I", str(program), *paths],
        input=json.dumps([asdict(utterance) for utterance in utterances]).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip() or f"it ended with code {done.returncode}"
        raise PolymodalError(
            f"eSpeak NG did not speak: {reason}. Install it anew with: pip install --force-reinstall espeakng-loader"
        )
    spoken_rate = int.from_bytes(done.stdout[:4], "little")
    return (
        (soxr.resample(wave.astype(np.float32) / 2**15, spoken_rate, sample_rate), words)
        for wave, words in _spoken(done.stdout)
    )


def _spoken(speech: bytes) -> Iterator[tuple[np.ndarray, tuple[SpokenWord, ...]]]:
    """Int16 samples, and words, from the format that `_espeak` describes."""
    start = 4
    while start < len(speech):
        count = int.from_bytes(speech[start : start + 4], "little")
        wave = np.frombuffer(speech, "<i2", count, offset=start + 4)
        start += 4 + 2 * count
        number = int.from_bytes(speech[start : start + 4], "little")
        words = np.frombuffer(speech, "<u4", 3 * number, offset=start + 4).reshape(number, 3).tolist()
        yield wave, tuple(SpokenWord(place, length, begin / 1000) for place, length, begin in words)
        start += 4 + 12 * number
