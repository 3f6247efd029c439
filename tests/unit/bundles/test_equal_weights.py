"""Weights that several encoders have alike, such as those of one checkpoint, are stored once; old bundles are read."""

import numpy as np
import pytest
import torch
from small_bundle import forge_manifest

from polymodal import registry
from polymodal.bundles import bundle
from polymodal.bundles.bundle import Bundle
from polymodal.config.run_config import make
from polymodal.errors import DamagedBundleError
from polymodal.files import tensorfile
from polymodal.inference.predictor import predict
from polymodal.metrics.results import Results
from polymodal.models.build import build
from polymodal.schema import Column, Input, Schema, Target

SETTINGS = {"size": 16}


def two_pictures(*, alike):
    """A model that sees two pictures, through encoders of equal weights or not."""
    classify = registry.load("tasks", "classify")
    columns = tuple(
        Column(name=name, kind="image", modality="image", reason="", settings=SETTINGS) for name in ("front", "back")
    )
    inputs = tuple(Input(name=one.name, columns=(one.name,), modality="image", encoder="cnn") for one in columns)
    target = Target(column="y", task="classify", statistics=classify(classify.Config()).fit(["no", "yes"], column="y"))
    schema = Schema(columns=columns, inputs=inputs, target=target)
    config = make({"target": "y", "fusion": "concat", "task": "classify"})
    torch.manual_seed(0)
    model = build(schema, config).eval()
    if alike:
        model.encoders["back"].load_state_dict(model.encoders["front"].state_dict())
    return Bundle(model, schema, config, Results(), "# Card\n")


def same_state(one, other):
    state, found = one.model.state_dict(), other.model.state_dict()
    return state.keys() == found.keys() and all(torch.equal(state[key], found[key]) for key in state)


def test_equal_encoders_take_the_place_of_one_and_predict_the_same(tmp_path):
    made = two_pictures(alike=True)
    size = bundle.save(made, tmp_path / "alike")
    whole = bundle.save(two_pictures(alike=False), tmp_path / "other")
    encoder = sum(tensor.nbytes for tensor in made.model.encoders["back"].state_dict().values())
    assert whole - encoder < size < whole - 0.9 * encoder
    loaded = bundle.load(tmp_path / "alike")
    assert same_state(loaded, made) and same_state(bundle.from_bytes(bundle.to_bytes(made)), made)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 16, 16, 3), dtype=np.uint8)
    table = {"front": list(pictures[0]), "back": list(pictures[1])}
    one, other = predict(loaded, table).prediction, predict(made, table).prediction
    assert torch.equal(one.values, other.values)


def test_what_is_loaded_learns_apart(tmp_path):
    bundle.save(two_pictures(alike=True), tmp_path / "bundle")
    encoders = bundle.load(tmp_path / "bundle").model.encoders
    with torch.no_grad():
        next(encoders["front"].parameters()).add_(1)
    assert not torch.equal(next(encoders["front"].parameters()), next(encoders["back"].parameters()))


def test_a_bundle_that_holds_equal_tensors_twice_is_read(tmp_path, monkeypatch):
    made = two_pictures(alike=True)
    monkeypatch.setattr(tensorfile, "_LARGE", 2**40)
    size = bundle.save(made, tmp_path / "old")
    monkeypatch.undo()
    forge_manifest(tmp_path / "old", lambda manifest: manifest.update(format=1))
    loaded = bundle.load(tmp_path / "old")
    assert same_state(loaded, made)
    assert bundle.save(loaded, tmp_path / "new") < size


def test_a_changed_byte_of_what_is_shared_is_found(tmp_path):
    bundle.save(two_pictures(alike=True), tmp_path / "bundle")
    weights = tmp_path / "bundle/weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
    with pytest.raises(DamagedBundleError, match="sha256 differs"):
        bundle.load(tmp_path / "bundle")
