"""A small bundle of real parts, and what changes the files of one as somebody would who means harm."""

import hashlib
import json
import struct

import numpy as np
import torch

from polymodal import registry
from polymodal.bundles.bundle import Bundle
from polymodal.config.run_config import make
from polymodal.metrics.results import Results
from polymodal.models.build import build
from polymodal.schema import Column, Input, Schema, Target


def make_bundle(**fields):
    number, classify = registry.load("modalities", "number"), registry.load("tasks", "classify")
    statistics = number(number.Config()).fit([np.array([value]) for value in (1.0, 2.5, -4.0)])
    target = classify(classify.Config()).fit(["no", "yes", "no"], column="y")
    schema = Schema(
        columns=(Column(name="a", kind="number", modality="number", reason="", statistics=statistics),),
        inputs=(Input(name="table", columns=("a",), modality="table", encoder="mlp"),),
        target=Target(column="y", task="classify", statistics=target),
    )
    config = make({"target": "y", "fusion": "concat", "task": "classify"})
    torch.manual_seed(0)
    return Bundle(build(schema, config).eval(), schema, config, Results(), "# Card\n", **fields)


def content(folder):
    """What a folder holds, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def forge(folder, path, data):
    """Replaces or adds a file; the manifest agrees with it."""
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_bytes(data)
    if path != "manifest.json":
        listed = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        forge_manifest(folder, lambda manifest: manifest["files"].update({path: listed}))


def forge_json(folder, path, change):
    document = json.loads((folder / path).read_bytes())
    change(document)
    forge(folder, path, json.dumps(document).encode())


def forge_manifest(folder, change):
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def forge_header(folder, change, *, data=lambda data: data):
    """Changes the header of the weights, and what follows it."""
    whole = (folder / "weights.safetensors").read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:start])
    change(header)
    text = json.dumps(header).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    forge(folder, "weights.safetensors", struct.pack("<Q", len(text)) + text + data(whole[start:]))
