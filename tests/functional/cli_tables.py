"""Tiny real tables for the tests of the command line: pictures, recordings, words, numbers and categories."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

RATE = 8_000
SMALL = [  # a model of some hundred weights, trained for two epochs
    "train.epochs=2",
    "modalities.image.size=16",
    "encoders.image={name: cnn, width: 8, channels: 4, blocks: 1}",
    "encoders.audio={name: cnn, width: 8, channels: 4, blocks: 1, features: {num_mels: 16}}",
    "encoders.text={name: bag, width: 8}",
    "encoders.table={name: mlp, width: 8}",
    "fusion={name: concat, width: 8}",
]
COLUMNS = ("photo", "sound", "note", "size", "colour", "label")
MEDIA = ("photo", "sound")


def picture(label: int, rng: np.random.Generator, *, format_: str = "PNG") -> bytes:
    """A noisy picture, reddish or bluish by its label."""
    pixels = rng.integers(0, 120, (20, 24, 3), dtype=np.uint8)
    pixels[..., 2 * label] += 100
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format_)
    return file.getvalue()


def recording(label: int, rng: np.random.Generator, *, rate: int = RATE, channels: int = 1) -> bytes:
    """A quarter of a second of a low or a high tone in noise, as WAV."""
    time = np.arange(rate // 4) / rate
    wave = 0.3 * np.sin(2 * np.pi * (300 + 900 * label) * time) + rng.normal(0, 0.05, len(time))
    file = io.BytesIO()
    soundfile.write(file, np.stack([wave] * channels, axis=1), rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def make_rows(folder: Path, count: int = 40) -> list[dict[str, object]]:
    """Rows of two classes, and their media in the folder; texts and colours say little."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for number in range(count):
        label = number % 2
        (folder / f"{number}.png").write_bytes(picture(label, rng))
        (folder / f"{number}.wav").write_bytes(recording(label, rng))
        word = rng.choice(["a fine day at the sea", "rain over the hills", "a cat on a mat", "nothing to report here"])
        rows.append({
            "photo": f"{number}.png",
            "sound": f"{number}.wav",
            "note": f"{word} {rng.integers(100)}",
            "size": round(float(rng.normal(label, 1)), 3),
            "colour": str(rng.choice(["red", "green", "blue"])),
            "label": ("cat", "dog")[label],
        })  # fmt: skip
    return rows


def write_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    """Writes rows as CSV; None becomes an empty cell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
