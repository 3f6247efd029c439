"""Pretrained language models through whole runs: trained in each way, saved, and loaded where the folder is no more."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_language_models as tiny
from tiny_language_models import TEXTS

import polymodal as pm
from polymodal import errors
from polymodal.bundles import bundle
from polymodal.inference.predictor import predict
from polymodal.updating.update import update

pytest.importorskip("transformers")

ROWS = [text.split()[:3] for text in TEXTS]
TABLE = {
    "size": [None, *(row[0] for row in ROWS[1:])],
    "colour": [None, *(row[1] for row in ROWS[1:])],
    "shape": [None, *(row[2] for row in ROWS[1:])],
    "said": TEXTS,
}
NEW = {name: TABLE[name] for name in ("size", "colour", "shape")}


def fit(folder: Path, how: str = "frozen", table: dict = TABLE, **task: object) -> pm.Generator:
    config = {
        "task": {
            "decoder": {"name": "hf", "checkpoint": str(folder), "train": how},
            "decoding": {"width": 2, "max_length": 10},
            **task,
        },
        "train": {"batch_size": 8, "optimizer": {"lr": 0.005}, "final": "best"},
        "fusion": {"width": 16},
    }
    return pm.Generator(epochs=1, config=config).fit(table, y="said")


@pytest.mark.parametrize("kind", ["gpt2", "t5", "bart"])
@pytest.mark.parametrize("how", ["frozen", "full", "top", "lora"])
def test_trains_and_its_bundle_needs_no_folder(kind: str, how: str, tmp_path: Path, monkeypatch) -> None:
    folder = tiny.save(tmp_path / "checkpoint", kind, deviation=0.3)
    model = fit(folder, how)
    decoder = model.bundle_.model.head.decoder
    before = type(decoder)(decoder.config, memory_width=decoder.memory.norm.weight.shape[0],
                           vocabulary_size=decoder.network.config.vocab_size)  # fmt: skip
    merged, fresh = decoder.portable_state(), before.portable_state()
    moved = {name for name in merged if name.startswith("network.") and not merged[name].cpu().equal(fresh[name])}
    assert bool(moved) == (how != "frozen")

    model.save(tmp_path / "bundle")
    shutil.rmtree(folder)
    monkeypatch.setitem(sys.modules, "peft", None)
    loaded = pm.load(tmp_path / "bundle")
    assert not any("lora" in name or "encoder." in name for name in loaded.bundle_.model.head.state_dict())
    one, other = (m.predict(NEW, n_best=2).tolist() for m in (model, loaded))
    assert one == other
    assert one[0] == ["", ""]  # nothing is known of it
    logs = [predict(m.bundle_, NEW).columns["log_probability"][1:] for m in (model, loaded)]
    np.testing.assert_allclose(logs[0], logs[1], rtol=1e-4)
    assert len(set(logs[0].round(6))) > 10  # the cells count


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_every_search_writes_the_same_of_rows_together_alone_and_piece_by_piece(kind: str, tmp_path: Path) -> None:
    model = fit(tiny.save(tmp_path / "checkpoint", kind, deviation=0.3), "full")
    model.save(tmp_path / "bundle")
    loaded = pm.load(tmp_path / "bundle")
    for search in ({"name": "beam"}, {"name": "greedy", "max_length": 9}, {"name": "sampling", "max_length": 9}):
        one = loaded.predict(NEW, decoding=search).tolist()
        assert one == model.predict(NEW, decoding=search).tolist()
        rows = [{name: [cells[row]] for name, cells in NEW.items()} for row in range(4)]
        assert one[:4] == [loaded.predict(row, decoding=search)[0] for row in rows]
    pieces: dict[int, str] = dict.fromkeys(range(len(TEXTS)), "")
    for row, piece in loaded.generate(NEW, stream=True, decoding={"name": "greedy", "max_length": 9}):
        pieces[row] += piece
    assert list(pieces.values()) == loaded.predict(NEW, decoding={"name": "greedy", "max_length": 9}).tolist()


@pytest.mark.parametrize(("kind", "begin", "end"), [("gpt2", 1, 0), ("t5", 0, 1)])
def test_texts_begin_and_end_as_the_network_knows(kind: str, begin: int, end: int, tmp_path: Path) -> None:
    head = fit(tiny.save(tmp_path / "checkpoint", kind)).bundle_.model.head
    assert (head.begin, head.bounds.end) == (begin, end)
    assert begin in head.bounds.never


def test_texts_begin_as_asked_and_are_as_long_as_asked(tmp_path: Path) -> None:
    model = fit(tiny.save(tmp_path / "checkpoint", "bart", deviation=0.3))
    for text in model.predict(NEW, decoding={"name": "beam", "prefix": "two red", "max_length": 20})[1:]:
        assert text.startswith("two red")
    assert set(model.predict(NEW, decoding={"name": "greedy", "max_length": 1})) == {""}  # <s> alone


def test_a_bundle_without_its_folder_learns_from_new_rows(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "checkpoint", "gpt2")
    fit(folder, "lora").save(tmp_path / "bundle")
    shutil.rmtree(folder)
    loaded = bundle.load(tmp_path / "bundle")
    updated = update(loaded, TABLE).bundle
    bundle.save(updated, tmp_path / "updated")
    assert len(pm.load(tmp_path / "updated").predict(NEW)) == len(TEXTS)


def test_the_card_names_the_checkpoint_and_the_schema_does_not(tmp_path: Path) -> None:
    fit(tiny.save(tmp_path / "checkpoint", "t5")).save(tmp_path / "bundle")
    assert "The decoder starts from" in (tmp_path / "bundle" / "README.md").read_text()
    assert str(tmp_path) not in (tmp_path / "bundle" / "schema.json").read_text()


def test_a_bundle_that_names_a_folder_is_refused(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "checkpoint", "t5")
    model = fit(folder)
    target = model.bundle_.schema.target
    model.bundle_.model.head.portable = dict  # as a bundle that somebody wrote by hand
    with pytest.raises(pm.PolymodalError, match="depends on a checkpoint outside the bundle"):
        model.save(tmp_path / "bundle")
    assert json.dumps(target.settings["decoder"]["checkpoint"]) == json.dumps(str(folder))


def test_what_the_tokenizer_cannot_write_is_said(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "checkpoint", "t5")
    table = {**TABLE, "said": ["日本 star", *TEXTS[1:]]}
    with pytest.warns(errors.DataWarning, match="cannot write 1 of"):
        model = fit(folder, table=table)
    (note,) = [note for note in model.bundle_.metrics.notes if "tokenizer" in note]
    assert "cannot write 1 of" in note
    assert "'日本 star' becomes ' star'" in note


def test_another_tokenizer_than_the_checkpoints_is_refused(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "checkpoint", "gpt2")
    with pytest.raises(errors.ConfigError, match=r"asks for 'words'. Leave task.tokenizer out"):
        fit(folder, tokenizer="words")


def test_mistakes_are_said_before_training(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="there is no folder"):
        fit(tmp_path / "nowhere")
    folder = tiny.save(tmp_path / "checkpoint", "gpt2")
    (folder / "model.safetensors").unlink()
    with pytest.raises(errors.ConfigError, match=r"holds no model\.safetensors"):
        fit(folder)
