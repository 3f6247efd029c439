"""The client of huggingface.co is played: no test touches a network."""

import logging
import time
from types import SimpleNamespace

import huggingface_hub as hub
import pytest

from polymodal.encoders.image.timm import Timm, TimmConfig
from polymodal.encoders.text.hf import Hf, HfConfig
from polymodal.errors import ConfigError
from polymodal.pretrained.fetching import fetch


@pytest.fixture
def site(monkeypatch, tmp_path):
    """A site that has one checkpoint, nothing of which is cached; says what was fetched."""
    calls = SimpleNamespace(asked=[], fetched=[], folder=tmp_path / "snapshot")
    files = {
        "config.json": 500,
        "model.safetensors": 90_000_000,
        "pytorch_model.bin": 90_000_000,
        "tokenizer.json": 500,
    }

    def model_info(self, name, *, revision, files_metadata, timeout):
        calls.asked.append((name, revision, timeout))
        siblings = [SimpleNamespace(rfilename=file, size=size) for file, size in files.items()]
        return SimpleNamespace(siblings=siblings, sha="abc", card_data=SimpleNamespace(license="apache-2.0"))

    def snapshot_download(name, *, revision=None, local_files_only=False, allow_patterns=()):
        if local_files_only:
            if calls.folder.is_dir():
                return str(calls.folder)
            raise hub.errors.LocalEntryNotFoundError("nothing there")
        calls.fetched.append((name, revision, allow_patterns))
        calls.folder.mkdir()
        for file in allow_patterns:
            (calls.folder / file).write_text("{}")
        return str(calls.folder)

    monkeypatch.setattr(hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)
    calls.files = files
    return calls


def test_says_size_and_licence_before_it_fetches_what_is_read_and_no_pickle(site, caplog):
    with caplog.at_level(logging.WARNING, logger="polymodal"):
        folder = fetch("org/model", who="It")
    assert folder == site.folder
    assert site.fetched == [("org/model", "abc", ["config.json", "model.safetensors", "tokenizer.json"])]
    assert "Fetching org/model from https://huggingface.co: 90 MB, licence: apache-2.0" in caplog.text


def test_what_is_cached_is_not_asked_for(site):
    site.folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (site.folder / name).write_text("{}")
    assert fetch("org/model", who="It") == site.folder
    assert site.asked == []


def test_half_of_a_checkpoint_in_the_cache_is_none(site):
    site.folder.mkdir()
    (site.folder / "config.json").write_text("{}")
    site.folder = site.folder.parent / "other"
    fetch("org/model", who="It")
    assert site.fetched


def test_a_revision_is_asked_for(site):
    fetch("org/model@v2", who="It")
    assert site.asked == [("org/model", "v2", 5.0)]


def test_weights_that_are_only_there_as_pickles_are_not_fetched(site):
    del site.files["model.safetensors"]
    with pytest.raises(ConfigError, match="no weights as safetensors"):
        fetch("org/model", who="It")
    assert site.fetched == []


def test_without_a_network_the_error_comes_at_once_and_says_how_to_use_a_folder(site, monkeypatch):
    def fail(*_, **__):
        raise OSError("[Errno -2] Name or service not known")

    monkeypatch.setattr(hub.HfApi, "model_info", fail)
    start = time.monotonic()
    with pytest.raises(ConfigError, match=r"Name or service not known\. Copy its folder .* checkpoint=/models/model"):
        Hf.needs(HfConfig(checkpoint="hf:org/model"))
    assert time.monotonic() - start < 5


def test_offline_nothing_is_asked(site, monkeypatch):
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set"):
        fetch("org/model", who="It")
    assert site.asked == []


@pytest.mark.parametrize("name", ["", "../secret", "a/b/c", "https://x.org/m", "org/model;rm", "/etc"])
def test_what_is_no_name_is_refused(site, name):
    with pytest.raises(ConfigError, match="is no name of a checkpoint"):
        fetch(name, who="It")
    assert site.asked == []


def test_names_of_timm_lead_to_its_own_weights_and_their_description(site):
    needs = Timm.needs(TimmConfig(checkpoint="timm:resnet18.a1_in1k"))
    assert needs == {"size": 224}
    assert site.fetched[0][0] == "timm/resnet18.a1_in1k"
    with pytest.raises(ConfigError, match=r"no pretrained weights 'resnet18\.a1'\. Did you mean"):
        Timm.needs(TimmConfig(checkpoint="timm:resnet18.a1"))
