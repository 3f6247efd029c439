"""`preset: pretrained` goes on without a checkpoint that cannot be had, and says so; a named one must be there."""

from __future__ import annotations

import pytest

from polymodal.config import presets
from polymodal.config.run_config import make
from polymodal.data.tables.table import read_table
from polymodal.errors import ConfigError, MissingExtraError
from polymodal.pipeline.choices import choose
from polymodal.pipeline.problem import resolve
from polymodal.pretrained import fetching

WORDS = ["red cat", "blue dog", "green sun", "small bird"]
TABLE = {"note": [f"{word} {row}" for row in range(6) for word in WORDS], "label": ["a", "b", "c", "d"] * 6}
TEXT = {"target": "label", "preset": "pretrained", "columns": {"note": {"modality": "text"}}}


@pytest.fixture
def nothing_carried(monkeypatch):
    """Libraries are installed; packages that carry weights are not."""
    monkeypatch.setattr(presets, "find_spec", lambda name: name if name in ("transformers", "timm") else None)


def refuse(name, *, who):
    raise ConfigError(f"{who}: {name!r} is not in the cache, and nobody gives it.")


def chosen(**settings):
    found = choose(read_table(TABLE), make({**TEXT, **settings}))
    return found.inputs[0].encoder, found.warnings


def test_a_library_that_is_not_installed_is_named_and_done_without(monkeypatch):
    monkeypatch.setattr(presets, "find_spec", lambda name: None)
    encoder, (warning,) = chosen()
    assert encoder == "bag"
    assert warning.startswith("note: ") and "'bag'" in warning
    assert "'transformers'" in warning and "polymodal[hf]" in warning


def test_a_checkpoint_that_cannot_be_fetched_is_named_and_done_without(monkeypatch, nothing_carried):
    monkeypatch.setattr(fetching, "fetch", refuse)
    encoder, (warning,) = chosen()
    assert encoder == "bag" and "all-MiniLM-L6-v2" in warning and "'bag'" in warning


def test_a_folder_without_that_modality_is_named_and_done_without(tmp_path):
    (tmp_path / "audio").mkdir()
    encoder, (warning,) = chosen(pretrained_folder=str(tmp_path))
    assert encoder == "bag" and str(tmp_path) in warning


def test_a_run_says_it_among_its_warnings(monkeypatch, tmp_path):
    monkeypatch.setattr(presets, "find_spec", lambda name: None)
    problem = resolve(TABLE, make(TEXT), folder=tmp_path)
    assert [word for word in problem.warnings if word.startswith("note: preset pretrained")]
    again = resolve(TABLE, problem.config, folder=tmp_path)  # which names the encoder that was used
    assert not any("preset pretrained" in word for word in again.warnings)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"encoders": {"text": {"name": "hf", "checkpoint": "hf:org/model"}}}, ConfigError),
        (
            {"columns": {"note": {"modality": "text", "encoder": {"name": "hf", "checkpoint": "/no/folder"}}}},
            ConfigError,
        ),
        ({"encoders": {"text": {"train": "lora"}}}, ConfigError),
        ({"pretrained_folder": "/no/such/folder"}, ConfigError),
    ],
)
def test_what_the_user_named_must_be_there(monkeypatch, nothing_carried, settings, error):
    monkeypatch.setattr(fetching, "fetch", refuse)
    with pytest.raises(error):
        chosen(**settings)


def test_an_encoder_that_is_named_needs_no_checkpoint_and_no_word(monkeypatch):
    monkeypatch.setattr(presets, "find_spec", lambda name: None)
    assert chosen(encoders={"text": "rnn"}) == ("rnn", ())


def test_a_library_is_asked_for_by_its_extra(monkeypatch):
    monkeypatch.setattr(presets, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"polymodal\[vision\]"):
        presets.check_library("timm")
    presets.check_library("cnn")
