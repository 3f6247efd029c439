"""`inspect` says which inputs do not predict the target, as a training would."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from polymodal.config.run_config import make
from polymodal.data.columns import profile as surveying
from polymodal.pipeline.inspection import inspect
from polymodal.pipeline.problem import resolve

ROWS = 120
WORDS = ["river", "stone", "cloud", "ember", "thorn", "maple", "frost", "dune"]


def table(folder: Path) -> dict[str, list]:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, ROWS)
    photos = []
    for number in range(ROWS):
        pixels = rng.integers(0, 100, (8, 8, 3)) + 100 * label[number]
        photos.append(str(folder / f"{number}.png"))
        Picture.fromarray(pixels.astype(np.uint8)).save(photos[-1])
    return {
        "photo": photos,
        "noise": [" ".join(words) for words in rng.choice(WORDS, size=(ROWS, 4))],
        "label": ["yes" if one else "no" for one in label],
    }


def findings(found):
    return [finding for finding in found.findings if finding.check == "input_tests"]


def test_the_input_that_tells_nothing_is_named_and_media_are_decoded_for_it(tmp_path):
    source, config = table(tmp_path), make({"target": "label"})
    found = inspect(source, config=config)
    (finding,) = findings(found)
    assert finding.columns == ("noise",) and finding.severity == "warning"
    assert "inputs.keep" in finding.advice
    assert {name: one["useful"] for name, one in found.to_dict()["input_tests"].items()} == {
        "photo": True,
        "noise": False,
    }
    with tempfile.TemporaryDirectory() as folder:
        assert resolve(source, config, folder=Path(folder)).tests == found.input_tests


@pytest.mark.parametrize(("settings", "media"), [({}, True), ({"target": "label"}, False)])
def test_nothing_is_tested_without_a_target_or_without_decoding(tmp_path, settings, media):
    found = inspect(table(tmp_path), config=make(settings), media=media)
    assert not found.input_tests and not findings(found)


def test_a_table_that_cannot_be_learned_from_is_inspected_all_the_same(tmp_path):
    source = table(tmp_path) | {"label": [None] * ROWS}
    (finding,) = findings(inspect(source, config=make({"target": "label"})))
    assert "no values" in finding.what


def test_where_nothing_predicts_the_advice_says_so(tmp_path):
    rng = np.random.default_rng(1)
    source = {key: cells for key, cells in table(tmp_path).items() if key != "photo"}
    source["more_noise"] = [" ".join(words) for words in rng.choice(WORDS, size=(ROWS, 4))]
    found = findings(inspect(source, config=make({"target": "label"})))
    assert len(found) == 2 and all("no better than chance" in finding.advice for finding in found)


def test_every_column_is_looked_at_once_though_the_inputs_are_tested(monkeypatch):
    looks = Counter()
    look = surveying.profile_column

    def watched(table, name, limits):
        looks[name] += 1
        return look(table, name, limits)

    monkeypatch.setattr(surveying, "profile_column", watched)
    rng = np.random.default_rng(0)
    table = {f"f{number}": rng.normal(size=60).tolist() for number in range(5)} | {"label": ["p", "q"] * 30}
    found = inspect(table, config=make({"target": "label"}))
    assert found.input_tests == {} or set(found.input_tests) == {"table"}
    assert looks == {**{f"f{number}": 1 for number in range(5)}, "label": 1}
