"""Texts are written whichever inputs are absent, alone and beside rows that have them all."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import soundfile
from PIL import Image

from polymodal.bundles.bundle import Bundle
from polymodal.config.run_config import make
from polymodal.inference.predictor import predict
from polymodal.pipeline.run import train

INPUTS = ("picture", "asked", "voice", "size")
SUBSETS = [kept for number in range(5) for kept in itertools.combinations(INPUTS, number)]
RATE = 8_000


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    """Pictures, questions, recordings and numbers, each of which is missing in some of the rows."""
    folder, rng = tmp_path_factory.mktemp("media"), np.random.default_rng(0)
    rows: dict[str, list[object]] = {name: [] for name in (*INPUTS, "said")}
    for row in range(48):
        word = ["oo", "ee"][row % 2]
        pixels = rng.integers(0, 60, (16, 16, 3), dtype=np.uint8) + np.uint8(150 * (row % 2))
        Image.fromarray(pixels).save(folder / f"{row}.png")
        wave = 0.3 * np.sin(2 * math.pi * [400, 900][row % 2] * np.arange(RATE // 2) / RATE)
        soundfile.write(folder / f"{row}.wav", wave + rng.normal(0, 0.01, len(wave)), RATE)
        given = [str(folder / f"{row}.png"), f"what is said in row {row}?", str(folder / f"{row}.wav"), float(row % 2)]
        for place, name in enumerate(INPUTS):
            rows[name].append(None if row % 8 == place + 1 else given[place])
        rows["said"].append(f"{word} number {row}")
    return rows


@pytest.fixture(scope="module", params=["transformer", "lstm", "neighbours", "transcribe"])
def trained(request: pytest.FixtureRequest, cells: dict[str, list[object]]) -> Bundle:
    task = {"name": "generate", "decoder": {"name": request.param}, "tokenizer": "characters"}
    if request.param == "neighbours":
        task |= {"decoder": "transformer", "decoding": {"name": "mbr", "samples": 4, "neighbours": 6}}
    if request.param == "transcribe":
        task = {"name": "transcribe"}
    settings = {
        "target": "said",
        "task": task,
        "columns": {"asked": {"modality": "text"}},
        "inputs": {"keep": "all"},
        "encoders": {"audio": {"width": 16}, "image": {"channels": 8, "width": 16}},
        "train": {"epochs": 1, "final": "best"},
    }
    return train(cells, make(settings)).bundle


@pytest.mark.parametrize("kept", SUBSETS, ids=lambda kept: "+".join(kept) or "nothing")
def test_every_subset_of_the_inputs_gives_a_text(trained: Bundle, cells: dict[str, list[object]], kept: tuple) -> None:
    table = {name: [cells[name][row] if name in kept else None for row in (0, 7)] for name in INPUTS}
    found = predict(trained, table)
    texts, status = found.columns["prediction"].tolist(), list(found.status)
    assert all(isinstance(text, str) for text in texts)
    speech = trained.config.task.name == "transcribe"  # of which a row without a recording holds nothing
    written = "voice" in kept if speech else bool(kept)
    assert status == ["ok" if written else f"prior: no {'voice' if speech else 'input'} present"] * 2
    assert written or texts == ["", ""]
    assert np.isfinite(found.columns["log_probability"].astype(float)).all()
    whole = [cells[name][0] for name in INPUTS]
    beside = {name: [full, *table[name], full] for name, full in zip(INPUTS, whole, strict=True)}
    assert predict(trained, beside).columns["prediction"].tolist()[1:3] == texts
