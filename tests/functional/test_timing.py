"""Speech to text with times: transcribe and align, through the command line and from Python."""

from __future__ import annotations

import csv
import json
import math
import re
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


def test_the_report_draws_words_over_their_recordings(spoken: tuple, trained: Path) -> None:
    page = (trained.parent / "report.html").read_text()
    section = page[page.index('<section id="alignment">') :].split("</section>")[0]
    drawn = re.findall(r'<figure class="spoken">.*?</figure>', section, re.DOTALL)
    assert 1 <= len(drawn) <= 4
    with spoken[0].open() as file:
        rows = list(csv.DictReader(file))
    for figure in drawn:
        assert figure.count('src="data:image/jpeg;base64,') == 1
        row = rows[int(re.findall(r"row (\d+)", figure)[0])]
        ((text, timed),) = Timing(load(trained)).transcribed({"voice": [str(spoken[0].parent / row["voice"])]})
        seconds = soundfile.info(spoken[0].parent / row["voice"]).duration
        found = re.findall(r'style="left:([\d.]+)%;width:([\d.]+)%"[^>]*><bdi>(\w+)</bdi>', figure)
        assert [word for *_, word in found] == text.split() == [word.text for word in timed.words]
        for (left, width, _), word in zip(found, timed.words, strict=True):
            assert float(left) / 100 * seconds == pytest.approx(word.start, abs=2e-3)
            assert (float(left) + float(width)) / 100 * seconds == pytest.approx(word.end, abs=2e-3)


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


def test_a_search_may_be_another_than_in_training(cli: Cli, spoken: tuple, trained: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("a o\noo\n", encoding="utf-8")
    done = cli("transcribe", trained, spoken[0], "-o", tmp_path / "out", "--decoding", f"words={few}")
    assert done.code == 0, done.err
    lines = [line.partition(": ")[2] for line in done.out.splitlines() if ".vtt: " in line]
    assert {word for line in lines for word in line.split()} == {"a", "o", "oo"}
    rates = {}
    for name in ("usual", "beam", "greedy", "few"):
        asked = {"usual": [], "beam": ["--decoding", "name=beam"], "greedy": ["--decoding", "name=greedy"],
                 "few": ["--decoding", f"words={few}"]}[name]  # fmt: skip
        done = cli("evaluate", trained, spoken[0], "--json", tmp_path / f"{name}.json", *asked)
        assert done.code == 0, done.err
        rates[name] = json.loads((tmp_path / f"{name}.json").read_text())["metrics"]["wer"]["value"]
    assert rates["usual"] == rates["beam"]
    assert max(rates["beam"], rates["greedy"]) < 0.2 < rates["few"]


@pytest.mark.parametrize(
    ("setting", "named"),
    [("name=beem", "beam"), ("widht=8", "width"), ("width=0", "width"), ("words=absent.txt", "absent.txt"),
     ("n_best=99", "width")],
)  # fmt: skip
def test_a_wrong_search_is_named(
    cli: Cli, spoken: tuple, trained: Path, tmp_path: Path, setting: str, named: str
) -> None:
    done = cli("transcribe", trained, spoken[0], "-o", tmp_path / "out", "--decoding", setting)
    assert (done.code, named in done.err) == (2, True), done.err
    assert not (tmp_path / "out").exists()


def test_wrong_uses_are_named(cli: Cli, spoken: tuple, trained: Path, run: Path, table: Path, tmp_path: Path) -> None:
    done = cli("align", trained, spoken[0], "--text", "sayd", "-o", tmp_path / "out")
    assert (done.code, "said" in done.err) == (2, True)
    done = cli("transcribe", trained, spoken[0], "-o", tmp_path / "out", "--format", "vvt")
    assert (done.code, "vtt" in done.err) == (2, True)
    done = cli("transcribe", run / "bundle", table, "-o", tmp_path / "out")
    assert (done.code, "task=transcribe" in done.err) == (2, True)
    done = cli("transcribe", run / "bundle", spoken[0].parent / "0.wav", "-o", tmp_path / "out")
    assert (done.code, "task=transcribe" in done.err) == (2, True)
    done = cli("transcribe", trained, tmp_path / "absent.wav", "-o", tmp_path / "out")
    assert (done.code, "absent.wav: no such file" in done.err) == (2, True)
    done = cli("generate", trained, spoken[0])
    assert (done.code, "-o FILE" in done.err) == (2, True)
    done = cli("generate", run / "bundle", table)
    assert (done.code, "task=generate" in done.err) == (2, True)
    with pytest.raises(UsageError, match="transcribe"):
        Timing(load(run / "bundle"))


def test_recordings_are_kept_whole_for_their_texts(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with (tmp_path / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["voice", "said"])
        for row in range(40):
            text = " ".join(rng.choice(list(TONES), 60 if row == 7 else 2))
            sound(text, tmp_path / f"{row}.wav", rng)
            writer.writerow([f"{row}.wav", text])
    for task, is_cut in (("transcribe", False), ("generate", True)):
        settings = ["train.epochs=1", "encoders.audio.width=8", f"task={task}"]
        done = cli("train", tmp_path / "table.csv", "--target", "said", "-o", tmp_path / task, settings=settings)
        assert (done.code, " cut to " in done.out + done.err) == (0, is_cut), done.err
