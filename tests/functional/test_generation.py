"""Texts from tables, through every door."""

from __future__ import annotations

import csv
import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import polymodal as pm
from conftest import Cli
from polymodal import registry

COLOURS = ["red", "green", "blue", "black"]
SHAPES = ["circle", "square", "star"]
PROBABLE = ["--decoding", "length_penalty=0"]
SAMPLED = ["--decoding", "name=sampling"]
SETTINGS = ["task.tokenizer=words", "train.batch_size=16", "task.decoder.width=48", "fusion.width=32"]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colours, shapes and numbers, and a sentence of them; some cells and sentences are missing."""
    rng, file = np.random.default_rng(0), tmp_path_factory.mktemp("told") / "table.csv"
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["colour", "shape", "size", "said", "side"])
        for row in range(200):
            colour, shape, size = rng.choice(COLOURS), rng.choice(SHAPES), rng.integers(1, 4)
            said = f"{['one', 'two', 'three'][size - 1]} {colour} {shape}{'s' if size > 1 else ''} here, number {row}"
            said = said.rpartition(",")[0] if row % 3 else said
            cells = [colour, shape, size] if row != 7 else ["", "", ""]
            writer.writerow([*cells, said if row != 8 else "", "train" if row % 4 else "test"])
    return file


@pytest.fixture(scope="module")
def trained(cli: Cli, told: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    settings = ["task=generate", *SETTINGS, "train.epochs=25", "train.optimizer.lr=0.004"]
    done = cli("train", told, "--target", "said", "--split", "side", "-o", folder / "run", settings=settings)
    assert done.code == 0, done.err
    return folder / "run" / "bundle"


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_sentences_are_learned_from_cells(cli: Cli, told: Path, trained: Path, tmp_path: Path) -> None:
    metrics = json.loads((trained / "metrics.json").read_text())
    found, common = metrics["test"]["chrf"], metrics["baselines"]["commonest"]["chrf"]
    assert found["low"] > common["high"]
    assert set(metrics["test"]) >= {"chrf", "bleu", "rouge_l", "cider", "cer", "wer", "exact_match"}
    assert "nearest" in metrics["baselines"]
    assert metrics["rows"]["unlabelled"] == 1

    done = cli("predict", trained, told, "-o", tmp_path / "out.csv")
    assert done.code == 0, done.err
    rows, predicted = read(told), read(tmp_path / "out.csv")
    assert len(predicted) == len(rows)
    assert (predicted[7]["prediction"], predicted[7]["status"].split(":")[0]) == ("", "prior")
    right = [
        row["colour"] in one["prediction"] and row["shape"] in one["prediction"]
        for row, one in zip(rows, predicted, strict=True)
        if row["colour"]
    ]
    assert np.mean(right) > 0.9
    done = cli("evaluate", trained, told)
    assert done.code == 0, done.err
    assert "chrf" in done.out


def test_several_texts_and_other_searches(cli: Cli, told: Path, trained: Path, tmp_path: Path) -> None:
    done = cli("generate", trained, told, "-o", tmp_path / "best.csv", "--n-best", "3", *PROBABLE)
    assert done.code == 0, done.err
    for row in read(tmp_path / "best.csv"):
        logs = [float(row[name]) for name in ("log_probability", "log_probability_2", "log_probability_3")]
        assert logs == sorted(logs, reverse=True)
    done = cli("generate", trained, told, "-o", tmp_path / "one.csv", *SAMPLED, "--decoding", "seed=1")
    again = cli("generate", trained, told, "-o", tmp_path / "two.csv", *SAMPLED, "--decoding", "seed=1")
    other = cli("generate", trained, told, "-o", tmp_path / "three.csv", *SAMPLED, "--decoding", "seed=2")
    assert (done.code, again.code, other.code) == (0, 0, 0), done.err
    assert (tmp_path / "one.csv").read_text() == (tmp_path / "two.csv").read_text()
    assert (tmp_path / "one.csv").read_text() != (tmp_path / "three.csv").read_text()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--decoding", "name=beem"], "beam"),
        (["--decoding", "widht=3"], "width"),
        (["--decoding", "width=0"], "width"),
        (["--decoding", "max_length=0"], "max_length"),
        (["--n-best", "9"], "n_best"),
    ],
)
def test_wrong_searches_are_named(
    cli: Cli, told: Path, trained: Path, tmp_path: Path, words: list[str], named: str
) -> None:
    done = cli("generate", trained, told, "-o", tmp_path / "out.csv", *words)
    assert done.code == 2
    assert named in done.err
    assert not (tmp_path / "out.csv").exists()


def test_pieces_joined_are_the_text(cli: Cli, told: Path, trained: Path) -> None:
    model = pm.load(trained)
    assert isinstance(model, pm.Generator)
    table = {"colour": ["red", None, "blue"], "shape": ["star", None, "circle"], "size": [1, None, 3]}
    whole = model.predict(table, decoding={"name": "greedy"}).tolist()
    pieces: dict[int, list[str]] = {}
    for row, piece in model.generate(table, stream=True):
        pieces.setdefault(row, []).append(piece)
    assert ["".join(pieces.get(row, [])) for row in range(3)] == whole
    assert whole[1] == ""
    assert len(pieces[0]) > 2
    with pytest.raises(pm.PolymodalError, match="greedy"):
        list(model.generate(table, stream=True, decoding={"name": "beam"}))
    done = cli("generate", trained, told)
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 199  # one row has nothing to go by


def test_from_python_it_is_fitted_saved_and_loaded(told: Path, tmp_path: Path) -> None:
    rows = {name: [row[name] or None for row in read(told)] for name in ("colour", "shape", "size", "said")}
    model = pm.Generator(epochs=2).fit(rows, y="said")
    best = model.predict(rows, n_best=2)
    assert best.shape == (200, 2)
    assert best[:, 0].tolist() == model.predict(rows).tolist()
    assert model.score(rows) >= 0
    model.save(tmp_path / "bundle")
    assert pm.load(tmp_path / "bundle").predict(rows).tolist() == model.predict(rows).tolist()


def test_rows_alone_and_together_are_told_alike(told: Path, trained: Path) -> None:
    model = pm.load(trained)
    rows = {name: [row[name] or None for row in read(told)][:12] for name in ("colour", "shape", "size")}
    together = model.predict(rows).tolist()
    assert together == [model.predict({name: [cells[row]] for name, cells in rows.items()})[0] for row in range(12)]


@pytest.mark.parametrize("verb", ["cross-validate", "compare"])
def test_folds_and_comparisons(cli: Cli, told: Path, tmp_path: Path, verb: str) -> None:
    words = ["--json", tmp_path / "found.json"] if verb == "cross-validate" else ["-o", tmp_path / "out"]
    settings = ["task=generate", *SETTINGS, "train.epochs=1", "task.decoding.width=2"]
    done = cli(verb, told, "--target", "said", "--drop", "side", "--folds", "2", *words, settings=settings)
    assert done.code == 0, done.err


def test_a_model_learns_from_new_rows(cli: Cli, told: Path, trained: Path, tmp_path: Path) -> None:
    done = cli("update", trained, told, "-o", tmp_path / "updated")
    assert done.code == 0, done.err
    assert cli("predict", tmp_path / "updated", told, "-o", tmp_path / "out.csv").code == 0


def test_free_text_is_recognised(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    words = ["small", "large", "old", "new", "tall", "flat", "dark", "pale"]
    lines = [f"{row % 7},a {' '.join(rng.choice(words, 4))} thing {row}" for row in range(60)]
    (tmp_path / "table.csv").write_text("\n".join(["number,caption", *lines]))
    words = ["--target", "caption", "-o", tmp_path / "run"]
    done = cli("train", tmp_path / "table.csv", *words, settings=["train.epochs=1"])
    assert done.code == 0, done.err
    assert "chrf" in done.out


@pytest.mark.parametrize("tokenizer", ["bpe", "words", "characters"])
def test_any_script_comes_back(tokenizer: str) -> None:
    texts = ["שלום עולם", "😀👩‍👩‍👧 ok", "Привет, мир", "日本語 と English", "e\u0301té"]
    table = {"key": list("abcde") * 12, "said": texts * 12}
    config = {
        "task": {"tokenizer": tokenizer, "label_smoothing": 0.0},
        "train": {"optimizer": {"lr": 0.002}, "batch_size": 8},
    }
    model = pm.Generator(epochs=30, config=config).fit(table, y="said")
    assert model.predict({"key": list("abcde")}).tolist() == [unicodedata.normalize("NFC", text) for text in texts]


def test_the_report_shows_texts_beside_the_true_ones(told: Path, trained: Path) -> None:
    page = (trained.parent / "report.html").read_text()
    assert "text generation" in page
    assert "from the nearest to the farthest" in page
    assert "chrF" in page


def test_pictures_are_told_place_by_place(tmp_path: Path) -> None:
    rows: dict[str, list[object]] = {"picture": [], "asked": [], "said": []}
    for row in range(48):
        colour, place = ["red", "green", "blue"][row % 3], ["left", "right"][row // 3 % 2]
        pixels = np.full((32, 32, 3), 255, dtype=np.uint8)
        pixels[8:24, (0 if place == "left" else 16) :][:, :16] = np.eye(3, dtype=np.uint8)[row % 3] * 200
        Image.fromarray(pixels).save(tmp_path / f"{row}.png")
        asked = row // 6 % 2
        rows["picture"].append(str(tmp_path / f"{row}.png"))
        rows["asked"].append(["what colour is it?", "on which side is it?"][asked])
        rows["said"].append([colour, place][asked])
    config = {
        "columns": {"asked": {"modality": "text"}},
        "encoders": {"image": {"channels": 8, "width": 32}},
        "train": {"batch_size": 8, "modality_dropout": 0.0},
    }
    model = pm.Generator(epochs=30, config=config).fit(rows, y="said")
    (picture,) = [one for one in model.bundle_.schema.inputs if one.modality == "image"]
    assert picture.settings["spatial_tokens"] is True
    answers = model.predict({"picture": [rows["picture"][0]] * 2, "asked": [rows["asked"][0], rows["asked"][6]]})
    assert set(answers.tolist()) <= {"red", "green", "blue", "left", "right"}
    assert np.mean(model.predict(rows) == np.array(rows["said"])) > 0.8


@pytest.mark.parametrize(
    "values",
    [
        [f"{row} kg" for row in range(30)],
        [f"{row}.5 m - {row + 1} m" for row in range(30)],
        ["red car", "blue car", "red bus"] * 10,
        [f"key-{row}" for row in range(30)],
        ["yes", "no"] * 15,
    ],
    ids=["units", "ranges", "classes of two words", "keys", "classes"],
)
def test_other_targets_are_no_free_text(values: list[str]) -> None:
    assert registry.load("tasks", "generate").recognise(values) is None
