"""Texts of similar training rows beside those of the model: chosen, saved, searched otherwise, refused."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import polymodal as pm
from conftest import Cli
from polymodal.bundles.bundle import from_bytes, load, save, to_bytes
from polymodal.config.run_config import make
from polymodal.errors import BundleError, ConfigError, DamagedBundleError
from polymodal.inference.generation import searching
from polymodal.layers.sequence_head import SequenceHead
from polymodal.pipeline.run import train
from polymodal.types import Sequences
from polymodal.updating.update import update

MBR = {"name": "mbr", "samples": 6, "neighbours": 5}


def table(num_rows: int = 60) -> dict[str, list[Any]]:
    """Points in the plane, of which some inputs are missing, and a sentence for each place."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, num_rows).tolist(), rng.integers(0, 4, num_rows).tolist()
    ways, things = ["north", "south", "east", "west"], ["tree", "house", "lake", "hill"]
    said = [f"{ways[a]} of the {things[b]}" for a, b in zip(x, y, strict=True)]
    rows: dict[str, list[Any]] = {"x": [float(a) for a in x], "y": [f"at {b} o'clock" for b in y], "said": said}
    rows["x"][5] = rows["y"][5] = rows["y"][9] = None
    rows["split"] = ["train", "train", "train", "train", "test"] * (num_rows // 5)
    return rows


def settings(**task: Any) -> Any:
    return make({
        "target": "said",
        "task": {"name": "generate", **task},
        "split": {"column": "split"},
        "columns": {"y": {"modality": "text"}},
        "inputs": {"keep": "all"},
        "train": {"epochs": 1},
    })  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("neighbours") / "bundle"
    run = train(table(), settings(decoding=MBR))
    assert any("training texts" in note for note in run.notes)
    save(run.bundle, folder)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "bundle"
    save(train(table(), settings()).bundle, folder)
    return folder


def test_after_one_epoch_neighbours_know_what_the_model_does_not(trained: Path) -> None:
    model = pm.load(trained)
    found = model.evaluate(table())
    with searching(model.bundle_, {"name": "beam"}):
        beam = model.evaluate(table())
    assert found["chrf"]["value"] > beam["chrf"]["value"] + 20


def test_saved_and_loaded_in_any_batch_it_writes_the_same(trained: Path) -> None:
    bundle = load(trained)
    assert isinstance(bundle.model.head, SequenceHead) and bundle.model.head.datastore is not None
    assert len(bundle.model.head.datastore) == 48  # validation rows are learned from, too
    model, rows = pm.load(trained), {name: table()[name][:12] for name in ("x", "y")}
    together = model.predict(rows).tolist()
    assert together == [model.predict({name: [cells[row]] for name, cells in rows.items()})[0] for row in range(12)]
    assert together[5] == ""
    save(load(trained), again := trained.parent / "again")
    assert pm.load(again).predict(rows).tolist() == together


def test_other_searches_with_and_without_neighbours(trained: Path, plain: Path) -> None:
    rows = {name: table()[name][:6] for name in ("x", "y")}
    model, other = pm.load(trained), pm.load(plain)
    best = model.predict(rows, n_best=3)
    assert best.shape == (6, 3)
    assert best[:, 0].tolist() == model.predict(rows).tolist()
    fewer = model.predict(rows, decoding={"neighbours": 1}).tolist()
    assert fewer != model.predict(rows, decoding={"neighbours": 0}).tolist()
    assert other.predict(rows, decoding={"name": "mbr"}).shape == (6,)
    with pytest.raises(ConfigError, match=r"neighbours.*task\.decoding\.neighbours"):
        other.predict(rows, decoding={"name": "mbr", "neighbours": 5})
    with pytest.raises(pm.PolymodalError, match="greedy"):
        list(model.generate(rows, stream=True, decoding=MBR))
    assert list(model.generate(rows, stream=True))  # greedy, which has no neighbours


def test_doors(cli: Cli, trained: Path, tmp_path: Path) -> None:
    with (tmp_path / "new.csv").open("w", newline="") as file:
        csv.writer(file).writerows([table(), *zip(*table().values(), strict=True)])
    done = cli("generate", trained, tmp_path / "new.csv", "-o", tmp_path / "out.csv", "--n-best", "2")
    assert done.code == 0, done.err
    done = cli("evaluate", trained, tmp_path / "new.csv", "--decoding", "neighbours=2")
    assert done.code == 0, done.err
    assert "chrf" in done.out
    done = cli("generate", trained, tmp_path / "new.csv", "-o", tmp_path / "no.csv", "--decoding", "neighbours=-1")
    assert done.code == 2
    assert "neighbours" in done.err


def test_an_update_is_refused(trained: Path) -> None:
    with pytest.raises(BundleError, match=r"neighbours.*Train it again"):
        update(load(trained), table())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("ids", lambda one: one + 100_000),
        ("lengths", lambda one: one + 1_000),
        ("lengths", lambda one: one[:-1]),
        ("keys", lambda one: one[:, :-1]),
        ("mean", lambda one: one * torch.nan),
        ("spread", lambda one: one * 0),
        ("blocks", lambda one: one + 1),
        ("weight", lambda one: one + 2),
    ],
)
def test_a_datastore_that_cannot_be_is_refused(trained: Path, name: str, wrong: Any) -> None:
    bundle = load(trained)
    head = bundle.model.head
    assert isinstance(head, SequenceHead) and head.datastore is not None
    setattr(head.datastore, name, wrong(getattr(head.datastore, name)).contiguous())
    with pytest.raises(DamagedBundleError, match="datastore"):
        from_bytes(to_bytes(bundle))


@pytest.mark.parametrize(("good", "chosen"), [((0.8, 1.0), 0.8), ((0.0, 0.2), 0.2), ((0.0, 1.0), 0.5)])
def test_validation_rows_choose_the_weight(monkeypatch: pytest.MonkeyPatch, good: tuple, chosen: float) -> None:
    """All texts are one; the weights that are not good give none."""
    rows = table() | {"said": ["one text for all"] * 60}
    rows["split"] = ["train", "validation", "train", "test", "train"] * 12

    def weighted(self: SequenceHead, tokens: Any, weights: Any) -> list[Sequences]:
        assert self.datastore is not None
        ids = self.datastore.ids[:1].long().expand(len(tokens.mask), 1, -1)
        every = torch.ones(len(ids), 1)
        right = [good[0] - 1e-6 <= weight <= good[1] + 1e-6 for weight in weights]
        lengths = [ids.shape[2] * every.long() * one for one in right]
        return [Sequences(ids, length, 0 * every, every[:, 0] > 0) for length in lengths]

    monkeypatch.setattr(SequenceHead, "weighted", weighted)
    head = train(rows, settings(decoding=MBR)).bundle.model.head
    assert isinstance(head, SequenceHead) and head.datastore is not None
    assert float(head.datastore.weight) == pytest.approx(chosen)
