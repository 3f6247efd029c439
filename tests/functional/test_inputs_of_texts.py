"""Where the target is a text, inputs that say nothing of it are left out of the model, and named."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import polymodal as pm
from conftest import Cli
from polymodal.config.run_config import make
from polymodal.pipeline.inspection import inspect
from polymodal.pipeline.problem import resolve

ROWS = 150
WORDS = ["river", "stone", "cloud", "ember", "thorn", "maple", "frost", "dune", "reed", "moss", "flint", "brook"]
SEASONS = ["spring", "summer", "autumn", "winter"]
QUICK = {"train": {"epochs": 1, "final": "best"}, "task": {"decoder": {"layers": 1, "width": 16}}}
WITHOUT_TEST = {"split": {"test": 0.0, "validation": 0.0}}


def words(rng: np.random.Generator, number: int = 4) -> list[str]:
    return [" ".join(drawn) for drawn in rng.choice(WORDS, size=(ROWS, number))]


def table() -> dict[str, list]:
    """A note that tells one word of the text, two that tell nothing, and a number that does not either."""
    rng = np.random.default_rng(0)
    season = [SEASONS[place] for place in rng.integers(0, 4, ROWS)]
    return {
        "note": [f"{first} {rest}" for first, rest in zip(season, words(rng, 3), strict=True)],
        "noise": words(rng),
        "more_noise": words(rng),
        "size": rng.normal(size=ROWS).tolist(),
        "said": [f"{before} in {when} {after}" for before, when, after in
                 zip(words(rng, 2), season, words(rng, 2), strict=True)],
    }  # fmt: skip


def left_out(source: dict[str, list], **settings) -> set[str]:
    """Names of the columns of which `inspect` says that a training leaves them out."""
    found = inspect(source, config=make({"target": "said", "task": "generate", **WITHOUT_TEST, **settings}))
    findings = [finding for finding in found.findings if finding.check == "input_tests"]
    assert all("leaves it out" in finding.advice for finding in findings)
    return {column for finding in findings for column in finding.columns}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("texts") / "table.csv"
    source = table()
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(source)
        writer.writerows(zip(*source.values(), strict=True))
    return file


def test_train_leaves_them_out_and_says_so(cli: Cli, written: Path, tmp_path: Path) -> None:
    settings = ["task.decoder.width=16", "task.decoder.layers=1", "task=generate", "train.epochs=1"]
    done = cli("train", written, "--target", "said", "-o", tmp_path / "run", settings=settings)
    assert done.code == 0, done.err
    bundle, printed = tmp_path / "run" / "bundle", " ".join((done.out + done.err).split())
    assert [one.name for one in pm.load(bundle).bundle_.schema.inputs] == ["note"]
    tests = json.loads((bundle / "metrics.json").read_text())["input_tests"]
    assert {name: found["useful"] for name, found in tests.items()} == {
        "note": True,
        "noise": False,
        "more_noise": False,
        "table": False,
    }
    assert "left out of the model" in printed and "do not predict said" in printed


def test_inspect_names_them(cli: Cli, written: Path) -> None:
    done = cli("inspect", written, "--target", "said", settings=["task=generate"])
    assert done.code == 0, done.err
    told = " ".join(done.out.split())
    assert "noise" in told and "does not predict 'said'" in told and "inputs.keep" in told


def test_the_generator_does_without_them() -> None:
    source = table()
    with pytest.warns(pm.DataWarning, match="do not predict said"):
        model = pm.Generator(config=QUICK).fit(source, y="said")
    assert len(model.predict({"note": source["note"]})) == ROWS


@pytest.mark.parametrize(
    ("keep", "gone"),
    [("all", set()), (["noise", "table"], {"more_noise"}), ("useful", {"noise", "more_noise", "size"})],
)
def test_the_user_may_keep_them(keep: str | list[str], gone: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = make({"target": "said", "task": "generate", "inputs": {"keep": keep}, **WITHOUT_TEST})
        problem = resolve(table(), config, folder=Path(folder))
    assert {column.name for column in problem.schema.features()} == {"note", "noise", "more_noise", "size"} - gone


def test_what_tells_only_together_stays() -> None:
    """As a question and what it asks about: neither says anything alone."""
    source, rng = table(), np.random.default_rng(1)
    first, second = rng.integers(0, 2, size=(2, ROWS))
    source["size"] = (np.where(first, 1, -1) * rng.uniform(0.5, 2, ROWS)).tolist()
    source["note"] = [
        f"{['is it warm', 'how cold'][one]} in {rest}" for one, rest in zip(second, words(rng, 2), strict=True)
    ]
    source["said"] = [
        f"{['it rises', 'we fall'][one]} by the {rest}" for one, rest in zip(first ^ second, words(rng, 3), strict=True)
    ]
    assert left_out(source) == {"noise", "more_noise"}


def test_a_picture_stays_whatever_its_colours_say(tmp_path: Path) -> None:
    """What is written on it its handcrafted features cannot tell; and nothing is claimed of it."""
    source, rng = table(), np.random.default_rng(2)
    source["photo"] = [str(tmp_path / f"{row}.png") for row in range(ROWS)]
    for path in source["photo"]:
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)
    assert left_out(source) == {"noise", "more_noise", "size"}
    del source["note"]  # nothing predicts the text; the picture may
    assert left_out(source) == {"noise", "more_noise", "size"}


def test_inputs_beside_a_sound_are_tested(tmp_path: Path) -> None:
    source, rng = table(), np.random.default_rng(3)
    source["voice"] = [str(tmp_path / f"{row}.wav") for row in range(ROWS)]
    for path in source["voice"]:
        soundfile.write(path, rng.normal(0, 0.1, 1_000), 8_000)
    assert left_out(source, task="transcribe") == {"noise", "more_noise", "size"}
