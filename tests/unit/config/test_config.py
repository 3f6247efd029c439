import itertools

import pytest
import yaml

from polymodal.config import run_config as config
from polymodal.config.run_config import Part, RunConfig
from polymodal.errors import ConfigError


def test_nothing_said_is_a_configuration():
    assert config.make({}) == RunConfig()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"timing": "late"}, "'timing' is now called 'stage'"),
        ({"start": "old/bundle"}, "'start' is now called 'warm_start'"),
        ({"train": {"auxiliary_vote": 0.5}}, "'train.auxiliary_vote' is now called 'ensemble'"),
        ({"train": {"ensemble_weight": 0.5}}, "'train.ensemble_weight' is now called 'ensemble'"),
        ({"encoders": {"text": "shallow"}}, "no text encoder is called 'shallow'. It is now called 'embedding'"),
        ({"traget": "y"}, "'traget'. Did you mean 'target'"),
        ({"train": {"epoch": 3}}, "'train.epoch'. Did you mean 'epochs'?"),
        ({"columns": {"photo": {"modalty": "image"}}}, "'columns.photo.modalty'. Did you mean 'modality'?"),
        ({"fusion": "concta"}, "fusion: no fusion is called 'concta'. Did you mean 'concat'?"),
        ({"task": "clasify"}, "task: no task is called 'clasify'. Did you mean 'classify'?"),
        ({"encoders": {"imge": "cnn"}}, "'imge'. Did you mean 'image'"),
        ({"encoders": {"image": "cn"}}, "encoders.image: no image encoder is called 'cn'. Did you mean 'cnn'?"),
        ({"columns": {"x": {"modality": "imag"}}}, "columns.x.modality: no modality is called 'imag'"),
        ({"modalities": {"text": {"name": "text"}}}, "modalities.text.name"),
        ({"train": {"epochs": 0}}, "train.epochs: Input should be greater than or equal to 1 (got 0)"),
        ({"split": {"test": 1.5}}, "split.test"),
        ({"seed": 2**63}, "seed: Input should be less than"),
        ({"drop": "id"}, "drop: Input should be a list such as [a, b] (got 'id')"),
        ({"columns": {"x": "image"}}, "columns.x: Input should be settings such as {name: value} (got 'image')"),
        ({"limits": {"seconds": float("inf")}}, "limits.seconds: inf is not a finite number"),
        ({"modalities": {"audio": {"max_seconds": [1, float("nan")]}}}, "modalities.audio.max_seconds.1: nan is not"),
    ],
)
def test_what_is_wrong_is_named_by_its_path_with_the_nearest_known_word(values, words):
    with pytest.raises(ConfigError) as error:
        config.make(values)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({"num_mel": 3}, "unknown key 'features.num_mel'. Did you mean 'num_mels'? Known here: band_masks, "),
        ("fbnk", "features.name: Input should be 'log_mel', 'stft', 'fbank' or 'mfcc' (got 'fbnk')"),
        (3, "features: Input should be settings such as {name: value} (got 3)"),
    ],
)
def test_settings_inside_of_a_parts_settings_are_named_by_their_path(features, words):
    with pytest.raises(ConfigError) as error:
        config.part_settings("encoders/audio", Part(name="cnn", features=features))
    assert words in str(error.value)


def test_every_problem_is_told_at_once():
    with pytest.raises(ConfigError) as error:
        config.make({"sede": 1, "train": {"epoch": 3}})
    assert "seed" in str(error.value) and "epochs" in str(error.value)


def test_a_name_alone_is_a_part():
    assert config.make({"fusion": "concat"}).fusion == Part(name="concat")


def test_yaml_gives_back_what_was_written(tmp_path):
    given = config.make(
        {
            "target": "label",
            "columns": {"photo é": {"encoder": {"name": "cnn", "width": 8}}},
            "drop": ["id"],
            "train": {"optimizer": {"lr": 0.5}},
        }
    )
    config.write(given, tmp_path / "run.yaml")
    assert config.read(tmp_path / "run.yaml") == given
    assert yaml.safe_load((tmp_path / "run.yaml").read_text(encoding="utf-8"))["columns"].keys() == {"photo é"}


@pytest.mark.parametrize("text", ["[1, 2]", "", "a: [", "\x00", "seed: 2024-13-45", f"a: {'[' * 5000}"])
def test_a_file_that_is_no_configuration_is_refused_by_its_name(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        config.read(path)


@pytest.mark.parametrize("text", ["train: {epochs: 1}\nseed: 2\ntrain: {batch_size: 8}", "split: {test: 0, test: 1}"])
def test_a_key_twice_is_refused(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"run\.yaml(.|\n)*'(train|test)' appears twice(.|\n)* line \d"):
        config.read(path)
    with pytest.raises(ConfigError, match="'a' appears twice"):
        config.override(RunConfig(), ["drop={a: 1, a: 2}"])


def test_anchors_and_merges_are_no_keys_twice(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("encoders: {image: &small {name: cnn, width: 8}, audio: {<<: *small, width: 4}}")
    assert config.read(path).encoders["audio"] == Part(name="cnn", width=4)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        config.read(tmp_path / "none.yaml")


class TestOverride:
    def test_values_are_yaml_and_later_ones_win(self):
        made = config.override(
            RunConfig(), ["train.epochs=3", "train.clip_norm=null", "drop=[a, b]", "train.epochs=4", "target=y"]
        )
        assert (made.train.epochs, made.train.clip_norm, made.drop, made.target) == (4, None, ("a", "b"), "y")

    def test_a_setting_joins_a_part_that_is_a_name(self):
        made = config.override(RunConfig(), ["fusion=concat", "fusion.width=8", "encoders.image.name=cnn"])
        assert made.fusion == Part(name="concat", width=8)
        assert made.encoders["image"].name == "cnn"

    def test_a_setting_of_a_part_is_kept_whether_the_part_is_named_before_or_after(self):
        words = ["task=generate", "task.decoder=lstm", "task.decoder.width=48", "task.label_smoothing=0"]
        expected = {"decoder": {"name": "lstm", "width": 48}, "label_smoothing": 0}
        for order in itertools.permutations(words):
            made = config.override(RunConfig(), list(order))
            assert (made.task.name, made.task.settings) == ("generate", expected)

    @pytest.mark.parametrize("assignment", ["train.epochs", "=3", "x=[", "train.epoch=3", "seed=2024-13-45"])
    def test_what_cannot_be_set_is_refused(self, assignment):
        with pytest.raises(ConfigError):
            config.override(RunConfig(), [assignment])

    def test_the_configuration_given_is_not_changed(self):
        given = config.make({"columns": {"a": {"encoder": "cnn"}}})
        config.override(given, ["columns.a.encoder=rnn"])
        assert given.columns["a"].encoder.name == "cnn"


class TestParts:
    def test_settings_are_checked_against_the_class(self):
        assert config.part_settings("fusions", Part(name="concat", width=8)).width == 8
        with pytest.raises(
            ConfigError, match=r"unknown key 'wdth'. Did you mean 'width'\? Known here: project, width\."
        ):
            config.part_settings("fusions", Part(name="concat", wdth=8))

    def test_completed_writes_every_setting_out(self):
        made = config.completed("fusions", Part(name="concat", width=8))
        assert made.settings == {"width": 8, "project": True}
