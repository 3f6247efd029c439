"""A frozen network that a bundle holds goes on learning in another way, where its checkpoint is no more."""

import shutil

import pytest
import tiny
import torch
from test_hf_runs import CELLS, LABELS, run

from polymodal.bundles import bundle
from polymodal.config.run_config import make
from polymodal.pipeline.run import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("start")
    checkpoint = shutil.copytree(tiny.folder("vit"), place / "checkpoint")
    bundle.save(run("image", CELLS["image"], checkpoint, "frozen").bundle, place / "bundle")
    shutil.rmtree(checkpoint)
    return place / "bundle"


@pytest.mark.parametrize("how", ["frozen", "full", "top", "lora"])
def test_it_goes_on_learning(folder, tmp_path, how):
    before = bundle.load(folder).model.encoders["cell"]
    result = train(
        {"cell": CELLS["image"], "label": LABELS},
        make({
            "target": "label", "warm_start": str(folder), "encoders": {"image": {"train": how}},
            "train": {"epochs": 1, "final": "best", "optimizer": {"lr": 1e-9}},
        }),
    )  # fmt: skip
    encoder = result.bundle.model.encoders["cell"]
    assert encoder.frozen == (how == "frozen")
    assert any(p.requires_grad for p in encoder.parameters()) == (how != "frozen")
    bundle.save(result.bundle, tmp_path / "bundle")
    after = bundle.load(tmp_path / "bundle").model.encoders["cell"].state_dict()
    for key, value in before.state_dict().items():
        torch.testing.assert_close(after[key], value, atol=1e-6, rtol=0)


def test_a_frozen_network_is_shared_and_saved_once(tmp_path):
    checkpoint = str(tiny.folder("vit"))
    table = {"front": CELLS["image"], "back": CELLS["image"][::-1], "label": LABELS}
    image = {"modality": "image", "encoder": {"name": "hf", "checkpoint": checkpoint}}
    result = train(
        table,
        make({
            "target": "label", "columns": {"front": image, "back": image}, "share": [["front", "back"]],
            "train": {"epochs": 1, "final": "best"},
        }),
    )  # fmt: skip
    bundle.save(result.bundle, tmp_path / "bundle")
    loaded = bundle.load(tmp_path / "bundle").model
    assert loaded.encoders["front"] is loaded.encoders["back"]
    assert not any(key.startswith("encoders.parts.1") for key in loaded.state_dict())
