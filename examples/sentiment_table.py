"""A synthetic table for `sentiment.py`: sentences, how they are spoken, and the speaker's face.

python examples/sentiment_table.py FOLDER

Nothing here was said or felt by anybody: templates write, eSpeak NG speaks, circles smile. Every sense misleads on
purpose, each for its own reason: a third of the sentences is flat or ironic, voices differ more than moods do, and
faces are noisy, and sometimes not to be seen at all.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, ImageDraw

from polymodal.datasets._speech import Utterance, speak

MOODS = ("negative", "neutral", "positive")
WORDS = {
    "negative": ("awful", "boring", "terrible", "a mess", "dreadful", "a waste of time", "poor", "disappointing"),
    "neutral": ("all right", "as usual", "average", "as expected", "on time", "what it is", "ordinary", "over"),
    "positive": ("wonderful", "brilliant", "lovely", "a delight", "great", "excellent", "a triumph", "charming"),
}
THINGS = ("film", "meal", "concert", "journey", "hotel", "talk", "party", "weather")
TEMPLATES = ("The {} was {}.", "This {} is {}.", "My {} is {}.", "That {}? {}!")
VOICES = ("f1", "f2", "f3", "f4", "m1", "m3", "m5", "m7")
TEST_VOICES = ("f5", "m2", "m8")  # people whom training does not meet
MISLEADING, HIDDEN, SILENT = 0.3, 0.15, 0.1  # shares: of words, faces and recordings
RATE, SIZE = 16_000, 32  # Hz; pixels


def build(folder: Path, rows: int = 800, seed: int = 0) -> Path:
    """Writes table.csv and media/ into the folder: the same files for the same rows and seed."""
    rng = np.random.default_rng(seed)
    (folder / "media").mkdir(parents=True, exist_ok=True)
    moods = rng.integers(-1, 2, rows)
    sides = np.where(np.arange(rows) % 4 == 3, "test", "train")
    texts = [_sentence(mood, rng) for mood in moods]
    spoken = [_utterance(*cells, rng) for cells in zip(texts, moods, sides, strict=True)]
    table = []
    for row, wave in enumerate(speak(spoken, sample_rate=RATE)):
        face = recording = ""
        if rng.random() >= HIDDEN:
            face = f"media/{row}.png"
            _face(moods[row] + rng.normal(0, 0.6), rng).save(folder / face)
        if rng.random() >= SILENT:
            recording = f"media/{row}.flac"
            noisy = wave / max(np.abs(wave).max(), 1e-6) / 2 + rng.normal(0, 0.02, len(wave))
            soundfile.write(folder / recording, noisy, RATE)
        table.append((texts[row], recording, face, MOODS[moods[row] + 1], sides[row]))
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("sentence", "voice", "face", "mood", "split"), *table])
    return folder / "table.csv"


def _sentence(mood: int, rng: np.random.Generator) -> str:
    """A template with a word of the mood; or a word of another mood: the speaker is ironic, or says nothing."""
    said = rng.choice([other for other in (-1, 0, 1) if other != mood]) if rng.random() < MISLEADING else mood
    return str(rng.choice(TEMPLATES)).format(rng.choice(THINGS), rng.choice(WORDS[MOODS[said + 1]]))


def _utterance(text: str, mood: int, side: str, rng: np.random.Generator) -> Utterance:
    """Good mood is fast and high; so are some people by nature."""
    voice = str(rng.choice(TEST_VOICES if side == "test" else VOICES))
    rate, pitch = 180 + 40 * mood + rng.normal(0, 12), 50 + 30 * mood + rng.normal(0, 8)
    return Utterance(text, f"en-us+{voice}", rate=round(rate), pitch=int(np.clip(pitch, 0, 99)))


def _face(smile: float, rng: np.random.Generator) -> Image.Image:
    """A circle with eyes and a mouth that bends upwards by `smile`, somewhere in the picture, in noise."""
    picture = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(picture)
    x, y = rng.integers(14, 19, 2)
    skin = tuple(int(shade) for shade in rng.integers((200, 140, 90), (255, 200, 160)))
    pen.ellipse((x - 12, y - 12, x + 12, y + 12), fill=skin, outline="black")
    for eye in (x - 4, x + 4):
        pen.ellipse((eye - 1, y - 5, eye + 1, y - 3), fill="black")
    mouth = [(x + across, y + 6 - 5 * smile * ((across / 6) ** 2 - 0.5)) for across in range(-6, 7)]
    pen.line(mouth, fill="black", width=2)
    noisy = np.asarray(picture) + rng.normal(0, 20, (SIZE, SIZE, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
