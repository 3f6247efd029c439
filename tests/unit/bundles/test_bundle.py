import json
import pickle
import struct
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from small_bundle import content, forge, forge_header, forge_json
from torch import nn

from polymodal import registry
from polymodal.bundles import bundle as bundles
from polymodal.bundles import files as bundle_files
from polymodal.bundles.bundle import Bundle, from_bytes, load, save, to_bytes
from polymodal.config.run_config import RunConfig, make
from polymodal.errors import BundleError, DamagedBundleError, MissingExtraError
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.results import Results
from polymodal.schema import Column, Input, Schema, Target
from polymodal.types import Batch

RESULTS = Results(test={"accuracy": Interval(0.1 + 0.2, 0.0, 1 / 3)}, warnings=("a: 2 cells cut",))
FILES = ["README.md", "config.json", "metrics.json", "schema.json", "weights.safetensors"]
KNOWN = {
    "modalities": ("number", "text"),
    "encoders": ("table", "text"),
    "encoders/table": ("mlp",),
    "encoders/text": ("bag",),
    "fusions": ("concat",),
    "tasks": ("classify",),
}


class Encoder(nn.Module):
    def __init__(self, width=3, checkpoint=None, steps=(1, 2)):
        super().__init__()
        self.linear = nn.Linear(2, width)
        self.portable = {"width": width, "checkpoint": None, "steps": steps}


class Model(nn.Module):
    """Every kind of state: tied weights, buffers of other types, empty ones, scalars."""

    def __init__(self, settings):
        super().__init__()
        self.encoders = nn.ModuleDict({name: Encoder(**values) for name, values in settings.items()})
        self.tied = self.encoders["words"].linear
        self.dropout = nn.Dropout()
        self.register_buffer("counts", torch.arange(5))
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("prior", torch.tensor(float("-inf"), dtype=torch.float64))
        self.register_buffer("none", torch.empty(0, 3))
        self.columns, self.head = {"table": ("a",), "words": ("t",)}, None
        self.takes_features = False

    def encode(self, batch):
        raise NotImplementedError

    encode_input = combine = encode


def fake_build(schema, config):
    return Model({entry.name: entry.settings for entry in schema.inputs})


@pytest.fixture
def fakes(monkeypatch):
    monkeypatch.setattr(bundles, "build", fake_build)
    monkeypatch.setattr(registry, "names", lambda kind: KNOWN.get(kind, ()))


@pytest.fixture
def bundle(fakes):
    schema = Schema(
        columns=(
            Column(name="a", kind="number", modality="number", reason="digits", statistics={"spread": 1e-9}),
            Column(name="t", kind="text", modality="text", reason="wörds 🙂", statistics={"words": ["ä", "\u0000"]}),
            Column(name="id", kind="identifier", modality=None, reason="all distinct"),
        ),
        inputs=(
            Input(name="table", columns=("a",), modality="table", encoder="mlp", settings={"width": 3}),
            Input(name="words", columns=("t",), modality="text", encoder="bag", settings={"checkpoint": "/my/disk"}),
        ),
        target=Target(column="y", task="classify", statistics={"classes": ["no", "yes"]}),
    )
    torch.manual_seed(0)
    model = Model({"table": {"width": 3}, "words": {"width": 4}})
    model.encoders["table"].linear.weight.data = torch.randn(2, 3).T  # not contiguous
    config = make({"target": "y", "fusion": {"name": "concat", "width": 8}, "drop": ["id"]})
    return Bundle(model, schema, config, RESULTS, "# Card\n\nÜ\n")


@pytest.fixture
def folder(bundle, tmp_path):
    save(bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


def assert_same(left, right):
    assert (left.config, left.metrics, left.card) == (right.config, right.metrics, right.card)
    state, other = left.model.state_dict(), right.model.state_dict()
    assert state.keys() == other.keys()
    for name, tensor in state.items():
        assert tensor.dtype == other[name].dtype
        assert tensor.equal(other[name])


# Round trip


def test_round_trip_is_equal_bit_for_bit(bundle, folder):
    loaded = load(folder)
    assert_same(loaded, bundle)
    assert not loaded.model.training
    assert loaded.model.tied is loaded.model.encoders["words"].linear
    assert loaded.schema.columns == bundle.schema.columns
    assert loaded.schema.target == bundle.schema.target


def test_settings_become_the_portable_ones(folder):
    assert load(folder).schema.inputs[1].settings == {"width": 4, "checkpoint": None, "steps": [1, 2]}
    assert b"/my/disk" not in b"".join(content(folder).values())


def test_saving_what_was_loaded_gives_the_same_files(folder, tmp_path):
    save(load(folder), tmp_path / "again")
    assert content(tmp_path / "again") | {"manifest.json": b""} == content(folder) | {"manifest.json": b""}


def test_bytes_round_trip_and_are_the_same_for_the_same_model(bundle):
    data = to_bytes(bundle)
    assert_same(from_bytes(data), bundle)
    assert to_bytes(from_bytes(data)) == data == to_bytes(bundle)


def test_saving_and_loading_leave_random_numbers_and_the_model_alone(bundle, tmp_path):
    before, state = torch.get_rng_state(), {name: tensor.clone() for name, tensor in bundle.model.state_dict().items()}
    save(bundle, tmp_path / "bundle")
    load(tmp_path / "bundle")
    assert torch.get_rng_state().equal(before)
    assert bundle.model.training
    assert all(tensor.equal(state[name]) for name, tensor in bundle.model.state_dict().items())


# Saving


class ExtraState(Model):
    def get_extra_state(self):
        return {"any": "object"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: replace(b, metrics=Results(temperature=float("nan"))), "nan"),
        (lambda b: replace(b, metrics=Results(test={"accuracy": Interval(float("nan"), 0.0, 1.0)})), "nan"),
        (lambda b: replace(b, config=RunConfig(fusion={"name": "gone"})), "gone"),
        (lambda b: replace(b, model=ExtraState({"table": {}, "words": {}})), "_extra_state"),
        (lambda b: replace(b, card="\ud800"), "surrogates"),
    ],
)
def test_refuses_at_once_what_could_not_be_loaded(bundle, tmp_path, change, reason):
    with pytest.raises(BundleError, match=f"cannot hold this model.*{reason}"):
        save(change(bundle), tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def test_refuses_an_encoder_that_still_depends_on_a_file(bundle, tmp_path):
    bundle.model.encoders["words"].portable["checkpoint"] = "/my/disk"
    with pytest.raises(BundleError, match=r"'words' depends on a checkpoint outside"):
        save(bundle, tmp_path / "bundle")


# Attacks: the manifest agrees with every file


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("the pickle was opened",)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_pickle_as_any_file_is_never_opened(folder, name):
    for protocol in range(6):
        forge(folder, name, pickle.dumps({"a": Bomb(), "b": b"x" * 200}, protocol=protocol))
        if protocol == 0 and name == "README.md":  # ASCII: text to everybody, and nobody runs it
            assert "the pickle was opened" in load(folder).card
            continue
        with pytest.raises(DamagedBundleError, match=name):
            load(folder)


def test_weights_whose_header_length_looks_like_a_pickle_are_read(bundle, folder):
    data = (folder / "weights.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = data[8:start].ljust(0x480)
    forge(folder, "weights.safetensors", struct.pack("<Q", len(header)) + header + data[start:])
    assert (folder / "weights.safetensors").read_bytes().startswith(b"\x80\x04")
    assert_same(load(folder), bundle)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("config.json", ("fusion", "name")),
        ("config.json", ("task", "name")),
        ("schema.json", ("columns", 0, "modality")),
        ("schema.json", ("inputs", 0, "modality")),
        ("schema.json", ("inputs", 0, "encoder")),
        ("schema.json", ("target", "task")),
    ],
)
def test_an_import_path_is_compared_with_names_and_refused(folder, monkeypatch, name, place):
    def assign(document, word):
        for key in place[:-1]:
            document = document[key]
        document[place[-1]] = word

    monkeypatch.setattr(bundles, "build", lambda *args: pytest.fail("built"))
    monkeypatch.setattr(registry, "load", lambda *args: pytest.fail("imported"))
    for word in ("os.system", "builtins.eval", "../../evil", "/tmp/evil", "polymodal.cli", "", "\u0000"):
        forge_json(folder, name, partial(assign, word=word))
        with pytest.raises(BundleError, match=r"no .* is called .*Known: "):
            load(folder)


def test_a_checkpoint_outside_is_not_opened(folder, monkeypatch):
    forge_json(folder, "schema.json", lambda schema: schema["inputs"][1]["settings"].update(checkpoint="/etc/passwd"))
    monkeypatch.setattr(bundles, "build", lambda *args: pytest.fail("built"))
    with pytest.raises(DamagedBundleError, match="outside the bundle"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.json", lambda d: d.update(shell="ls")),
        ("config.json", lambda d: d["train"].update(hook="f")),
        ("schema.json", lambda d: d.update(code="x")),
        ("schema.json", lambda d: d["columns"][0].update(reader="x")),
        ("schema.json", lambda d: d["inputs"][0].pop("encoder")),
        ("schema.json", lambda d: d["inputs"][0].update(columns=["id"])),
        ("schema.json", lambda d: d["inputs"][0].update(columns=["absent"])),
        ("schema.json", lambda d: d["columns"].append(d["columns"][0])),
        ("schema.json", lambda d: d["inputs"].append(d["inputs"][0])),
        ("schema.json", lambda d: d["inputs"][0]["settings"].update(width=-5)),
        ("schema.json", lambda d: d["inputs"][0]["settings"].update(width=4)),
        ("schema.json", lambda d: d["inputs"][0]["settings"].update(unknown=4)),
        ("schema.json", lambda d: d["inputs"].pop()),
        ("metrics.json", lambda d: d.update(tset={})),
    ],
)
def test_an_unknown_key_or_an_impossible_value_is_refused(folder, name, change):
    forge_json(folder, name, change)
    with pytest.raises(BundleError, match=str(folder)):
        load(folder)


@pytest.mark.parametrize("name", ["config.json", "schema.json", "metrics.json"])
@pytest.mark.parametrize(
    "data",
    [b'{"a": 1, "a": 2}', b'{"a": NaN}', b"[" * 70 + b"]" * 70, b'{"a": 1e999}', b"[]", b"null", b"\xff", b""],
    ids=["twice", "nan", "deep", "huge", "list", "null", "bytes", "empty"],
)
def test_json_that_is_not_strict_is_refused(folder, name, data):
    forge(folder, name, data)
    with pytest.raises(DamagedBundleError, match=name):
        load(folder)


def test_a_key_twice_in_otherwise_right_json_is_refused(folder):
    whole = (folder / "config.json").read_bytes()
    forge(folder, "config.json", whole.replace(b'{\n "target": "y"', b'{\n "target": "z", "target": "y"'))
    with pytest.raises(DamagedBundleError, match=r"config.json: key 'target' appears twice"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "data"),
    [
        (lambda h: None, lambda d: d + b"\x00"),
        (lambda h: None, lambda d: d[:-1]),
        (lambda h: h.update(extra={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}), lambda d: d),
        (lambda h: h.pop("counts"), lambda d: d),
        (lambda h: h["counts"].update(shape=[-5]), lambda d: d),
        (lambda h: h["counts"].update(dtype="F64"), lambda d: d),
        (lambda h: h["counts"].update(shape=[1, 5]), lambda d: d),
        (lambda h: h.update(renamed=h.pop("counts")), lambda d: d),
        (lambda h: h.update(none2=h["none"]), lambda d: d),
    ],
    ids=["trailing", "short", "overlap", "hole", "negative", "dtype", "shape", "renamed", "one more"],
)
def test_weights_that_do_not_fit_are_refused(folder, change, data):
    forge_header(folder, lambda header: None)
    load(folder)
    forge_header(folder, change, data=data)
    with pytest.raises(DamagedBundleError):
        load(folder)


def test_an_endless_header_is_refused(folder):
    forge(folder, "weights.safetensors", struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(DamagedBundleError, match="does not fit"):
        load(folder)


def test_a_missing_extra_is_said_as_such(folder, monkeypatch):
    def build(schema, config):
        raise MissingExtraError("timm", "vision", "This encoder")

    monkeypatch.setattr(bundles, "build", build)
    with pytest.raises(MissingExtraError, match="vision"):
        load(folder)


def test_bytes_with_a_pickle_inside_are_refused(bundle):
    files = {**bundle_files.unpack(to_bytes(bundle)).files, "schema.json": pickle.dumps(Bomb(), protocol=4)}
    with pytest.raises(DamagedBundleError, match=r"schema\.json.*a pickle"):
        from_bytes(bundle_files.pack(files))
    with pytest.raises(DamagedBundleError, match="does not start"):
        from_bytes(pickle.dumps(Bomb()))


# Real parts


def test_a_real_model_predicts_the_same_bit_for_bit(tmp_path):
    numbers = [np.array([value]) for value in (1.0, 2.5, -4.0)]
    texts = [np.frombuffer(text, dtype=np.uint8) for text in (b"one fish", b"two fish", b"red fish, blue fish")]
    classes = ["no", "yes", "no"]
    number, text, classify = (
        registry.load(*part) for part in (("modalities", "number"), ("modalities", "text"), ("tasks", "classify"))
    )
    number_statistics = number(number.Config()).fit(numbers)
    text_statistics = text(text.Config()).fit(texts)
    schema = Schema(
        columns=(
            Column(name="a", kind="number", modality="number", reason="", statistics=number_statistics),
            Column(name="t", kind="text", modality="text", reason="", statistics=text_statistics),
        ),
        inputs=(
            Input(name="table", columns=("a",), modality="table", encoder="mlp"),
            Input(name="t", columns=("t",), modality="text", encoder="bag"),
        ),
        target=Target(column="y", task="classify", statistics=classify(classify.Config()).fit(classes, column="y")),
    )
    config = make({"target": "y", "fusion": "concat", "task": "classify"})
    batch = Batch(
        cells={
            "a": number(number.Config(), number_statistics).collate([numbers[0], None, numbers[2]]),
            "t": text(text.Config(), text_statistics).collate([texts[0], texts[1], None]),
        },
        rows=torch.arange(3),
        encoded={},
    )
    model = bundles.build(schema, config).eval()
    save(Bundle(model, schema, config, Results(), ""), tmp_path / "bundle")
    torch.manual_seed(1)
    loaded = load(tmp_path / "bundle")
    assert loaded.schema.inputs[1].settings == json.loads(json.dumps(model.encoders["t"].portable))
    with torch.inference_mode():
        assert loaded.model(batch).values.equal(model(batch).values)
