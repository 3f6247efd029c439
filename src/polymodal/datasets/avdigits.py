"""Digits to see, to hear and to guess at: each modality is hard alone, together they are easy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from polymodal.datasets._cache import Progress
from polymodal.datasets._speech import Utterance, speak
from polymodal.datasets._tables import tracked, write_table

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en-us", "en", "en-gb-x-rp")
TRAIN_VOICES = (
    *("f1", "f2", "f3", "f4", "Annie", "anika", "aunty", "belinda", "grandma", "linda", "m1", "m3"),
    *("m5", "m7", "Mike", "adam", "boris", "david", "edward", "klatt2", "michel", "pablo", "quincy", "travis"),
)
TEST_VOICES = ("f5", "Alicia", "m2", "m8", "caleb", "grandpa", "klatt4", "robert")

# Strong enough that logistic regression gets about 70 % from the 8 x 8 pixels and 78 % from the speech's MFCC.
PIXEL_NOISE = 0.35  # standard deviation; black is 0, white is 1
PIXEL_LOSS = 0.15  # share of pixels that are black whatever they were
SPEECH_PEAK = 0.5
SPEECH_NOISE = (0.03, 0.1)  # standard deviation of white noise, log-uniform
SPEECH_START = 0.2  # seconds, at most; the longest word takes 0.8

SAMPLE_RATE = 16_000  # Hz; every recording lasts one second
COLUMNS = ("id", "image", "audio", "hint", "label", "split")
PIXEL = 4  # one pixel of the handwriting becomes 4 x 4

LICENCE = """\
avdigits: {synthetic}.

Pictures: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository,
https://doi.org/10.24432/C50P49, CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). Taken from the copy of its
test set in scikit-learn (sklearn.datasets.load_digits); changed: noise added, pixels lost, enlarged, converted to RGB.

Speech: synthetic, made on this machine by eSpeak NG from the package espeakng-loader, and put into white noise. The
program is under the GPL version 3 or later, which to our knowledge covers the program and not what it speaks.

Hints and the split: made by Polymodal; no rights are claimed.
"""


@dataclass(frozen=True)
class Avdigits:
    """Noisy handwritten digits, the digits spoken in noise, and weak hints in words.

    The table has the columns id, image (32 x 32 PNG), audio (one second, 16 kHz FLAC), hint, label (0 to 9) and split
    (a quarter is test, spoken by voices that training does not hear).

    Attributes:
        rows: how many rows to build; fewer than all are the first ones of the whole table.
    """

    rows: int = 1797

    version: ClassVar[int] = 1
    title: ClassVar[str] = "Noisy handwritten digit, the digit spoken in noise, and a weak hint in words"
    source: ClassVar[str] = "handwriting: scikit-learn load_digits; speech: eSpeak NG from the package espeakng-loader"
    licence: ClassVar[str] = "handwriting CC BY 4.0 (UCI); speech generated here; see LICENCE.txt"
    synthetic: ClassVar[str] = "part synthetic: real handwriting with added noise, computer speech, generated hints"

    def build(self, folder: Path, *, seed: int = 0, progress: Progress | None = None) -> Path:
        """Writes the table as `Recipe.build` says; the seed decides the split, the voices, the hints and all noise."""
        import soundfile
        from PIL import Image
        from sklearn.datasets import load_digits

        digits = load_digits()
        labels = digits.target[: self.rows].tolist()
        rng = np.random.default_rng(seed)
        generators = rng.spawn(len(labels))  # one a row: a row does not depend on how many there are
        test = _test_rows(digits.target, rng)[: self.rows].tolist()
        waves = speak([_utterance(*row) for row in zip(labels, test, generators, strict=True)], sample_rate=SAMPLE_RATE)

        (folder / "media").mkdir(parents=True, exist_ok=True)
        (folder / "LICENCE.txt").write_text(LICENCE.format(synthetic=self.synthetic), encoding="utf-8")
        rows: list[tuple[object, ...]] = []
        for row, wave in zip(tracked(range(len(labels)), progress), waves, strict=True):
            label, own = labels[row], generators[row]
            image, audio = f"media/{row}.png", f"media/{row}.flac"
            Image.fromarray(_picture(digits.images[row] / 16, own)).save(folder / image)
            soundfile.write(folder / audio, _recording(wave, own), SAMPLE_RATE, subtype="PCM_16")
            rows.append((row, image, audio, _hint(label, own), label, "test" if test[row] else "train"))
        return write_table(folder / "table.csv", COLUMNS, rows)


def _test_rows(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bool [rows]: every fourth row of each label, in a random order."""
    order = np.lexsort((rng.random(len(labels)), labels))
    test = np.zeros(len(labels), dtype=bool)
    test[order[::4]] = True
    return test


def _utterance(label: int, test: bool, rng: np.random.Generator) -> Utterance:
    voices = TEST_VOICES if test else TRAIN_VOICES
    accent, voice = ACCENTS[rng.integers(len(ACCENTS))], voices[rng.integers(len(voices))]
    return Utterance(
        WORDS[label], f"{accent}+{voice}", rate=int(rng.integers(140, 201)), pitch=int(rng.integers(30, 71))
    )


def _hint(label: int, rng: np.random.Generator) -> str:
    parity = "an odd number" if label % 2 else "an even number"
    size = "less than five" if label < 5 else "more than four"
    return ("no hint", "a digit", parity, size)[rng.integers(4)]


def _picture(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Float [8, 8] in 0 to 1 -> uint8 [32, 32, 3]."""
    noisy = np.clip(pixels + rng.normal(0, PIXEL_NOISE, pixels.shape), 0, 1)
    kept = rng.random(pixels.shape) >= PIXEL_LOSS
    grey = np.rint(255 * noisy * kept).astype(np.uint8)
    return np.repeat(grey.repeat(PIXEL, axis=0).repeat(PIXEL, axis=1)[..., None], 3, axis=2)


def _recording(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Float [samples] of a word -> [SAMPLE_RATE]: the word somewhere in one second of noise."""
    recording = rng.normal(0, np.exp(rng.uniform(*np.log(SPEECH_NOISE))), SAMPLE_RATE)
    start = rng.integers(int(SPEECH_START * SAMPLE_RATE) + 1)
    recording[start : start + len(wave)] += SPEECH_PEAK * wave / np.abs(wave).max()
    return recording
