"""Speech to text with times: transcribe and align, through the command line and from Python."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import Cli
from polymodal.bundles.bundle import load
from polymodal.errors import UsageError
from polymodal.inference.timing import Timing

RATE = 8_000
TONES = {"a": 400.0, "o": 800.0, "e": 1_600.0}
TONE, GAP, PAUSE = 0.15, 0.05, 0.15


def sound(text: str, path: Path, rng: np.random.Generator) -> list[float]:
    """A tone for each letter; gives when each word starts."""
    parts, starts = [np.zeros(int(0.1 * RATE))], []
    steps = np.arange(int(TONE * RATE)) / RATE
    for word in text.split():
        starts.append(sum(map(len, parts)) / RATE)
        for letter in word:
            parts += [np.sin(2 * math.pi * TONES[letter] * steps) * 0.3, np.zeros(int(GAP * RATE))]
        parts.append(np.zeros(int(PAUSE * RATE)))
    samples = np.concatenate(parts)
    soundfile.write(path, samples + rng.normal(0, 0.01, len(samples)), RATE)
    return starts


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[float]]]:
    folder, rng = tmp_path_factory.mktemp("spoken"), np.random.default_rng(0)
    starts = []
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["voice", "said", "side"])
        for row in range(120):
            words = ["".join(rng.choice(list(TONES), rng.integers(1, 4))) for _ in range(rng.integers(1, 4))]
            text = " ".join(words)
            starts.append(sound(text, folder / f"{row}.wav", rng))
            writer.writerow([f"{row}.wav", text, "train" if row % 4 else "test"])
    return folder / "table.csv", starts


@pytest.fixture(scope="module")
def trained(cli: Cli, spoken: tuple, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    settings = ["task=transcribe", "task.search=beam", "task.words=training", "train.epochs=30", "train.batch_size=8",
                "encoders.audio.width=32", "train.optimizer.lr=0.01"]  # fmt: skip
    done = cli("train", spoken[0], "--target", "said", "--split", "side", "-o", folder, settings=settings)
    assert done.code == 0, done.err
    return folder / "bundle"


def test_words_are_found_where_they_are_spoken(spoken: tuple, trained: Path) -> None:
    table, starts = spoken
    found = Timing(load(trained))(table, text="said")
    assert len(found) == 120
    assert sum(text.refusal is None for text in found) > 110
    errors = [
        abs(word.start - start)
        for text, of_row in zip(found, starts, strict=True)
        if text.refusal is None
        for word, start in zip(text.words, of_row, strict=True)
    ]
    assert np.median(errors) < 0.06
    for text in found:
        for word in text.words:
            assert 0 <= word.start < word.end
            assert 0 <= word.confidence <= 1
            assert "".join(sign for sign, *_ in word.characters) == word.text


def test_texts_that_are_not_spoken_are_refused(cli: Cli, spoken: tuple, trained: Path, tmp_path: Path) -> None:
    with spoken[0].open() as file:
        rows = list(csv.DictReader(file))[:10]
    wrong = tmp_path / "wrong.csv"
    texts = ["ooooooo aaaaa", rows[1]["said"], "", "7", "a o e a o e a o e a o e a o e a o e a o e a o e a o"]
    with wrong.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["voice", "text"])
        for row, text in zip(rows, texts, strict=False):
            writer.writerow([spoken[0].parent / row["voice"], text])
        writer.writerow(["", "a"])
    done = cli("align", trained, wrong, "--text", "text", "-o", tmp_path / "out", "--format", "json")
    assert done.code == 0, done.err
    found = [json.loads((tmp_path / "out" / f"{row}.json").read_text()) for row in range(6)]
    assert "fit" in found[0]["refusal"] or "long" in found[0]["refusal"]
    assert found[1]["refusal"] is None
    assert [word["text"] for word in found[1]["words"]] == rows[1]["said"].split()
    assert "text" in found[2]["refusal"]
    assert [word["text"] for word in found[3]["words"]] == ["7"]  # a number is left as it is written
    assert "long" in found[4]["refusal"]
    assert "sound" in found[5]["refusal"]
    assert "row 4" in done.err
    done = cli("align", trained, wrong, "--text", "text", "-o", tmp_path / "vtt")
    assert sorted(path.name for path in (tmp_path / "vtt").iterdir()) == ["1.vtt", "3.vtt"]


@pytest.mark.parametrize(("kind", "ending"), [("vtt", ".vtt"), ("srt", ".srt"), ("textgrid", ".TextGrid")])
def test_recordings_are_written_down(
    cli: Cli, spoken: tuple, trained: Path, tmp_path: Path, kind: str, ending: str
) -> None:
    recording = spoken[0].parent / "1.wav"
    done = cli("transcribe", trained, recording, "-o", tmp_path / "out", "--format", kind)
    assert done.code == 0, done.err
    (file,) = (tmp_path / "out").iterdir()
    assert file.suffix == ending
    with spoken[0].open() as opened:
        said = list(csv.DictReader(opened))[1]["said"]
    assert said in done.out


def test_wrong_uses_are_named(cli: Cli, spoken: tuple, trained: Path, run: Path, table: Path, tmp_path: Path) -> None:
    done = cli("align", trained, spoken[0], "--text", "sayd", "-o", tmp_path / "out")
    assert (done.code, "said" in done.err) == (2, True)
    done = cli("transcribe", trained, spoken[0], "-o", tmp_path / "out", "--format", "vvt")
    assert (done.code, "vtt" in done.err) == (2, True)
    done = cli("transcribe", run / "bundle", table, "-o", tmp_path / "out")
    assert (done.code, "task=transcribe" in done.err) == (2, True)
    done = cli("generate", run / "bundle", table)
    assert (done.code, "task=generate" in done.err) == (2, True)
    with pytest.raises(UsageError, match="transcribe"):
        Timing(load(run / "bundle"))
