import pytest
import torch
from small_bundle import forge_header, forge_json, forge_manifest, make_bundle

from polymodal import __version__
from polymodal.bundles import bundle
from polymodal.bundles import files as bundle_files
from polymodal.errors import DamagedBundleError, NewerBundleError
from polymodal.metrics.results import Results


@pytest.fixture
def folder(tmp_path):
    """A bundle in the first format: nothing in it is large enough to be stored but once."""
    bundle.save(make_bundle(), tmp_path / "bundle")
    forge_manifest(tmp_path / "bundle", lambda manifest: manifest.update(format=1))
    return tmp_path / "bundle"


@pytest.fixture
def format_3(monkeypatch):
    """As if this were a later Polymodal."""
    for module in (bundle, bundle_files):
        monkeypatch.setattr(module, "FORMAT", 3)
    return lambda version, migration: monkeypatch.setitem(bundle.MIGRATIONS, version, migration)


def test_an_older_format_migrates_documents_and_weights(folder, format_3):
    state = make_bundle().model.state_dict()
    name, dropped = list(state)[:2]
    forge_json(folder, "metrics.json", lambda metrics: metrics.update(old=1))
    forge_header(folder, lambda header: header.update(first=header.pop(name)))

    def rename_and_drop(documents, tensors):
        documents["metrics.json"]["best_epoch"] = documents["metrics.json"].pop("old")
        del tensors[dropped]
        return documents, {{"first": "second"}.get(key, key): value for key, value in tensors.items()}

    def rename_and_add(documents, tensors):
        assert documents["metrics.json"] == {"best_epoch": 1}  # as the migration before left them
        renamed = {{"second": name}.get(key, key): value for key, value in tensors.items()}
        return documents, renamed | {dropped: state[dropped]}

    format_3(1, rename_and_drop)
    format_3(2, rename_and_add)
    loaded = bundle.load(folder)
    assert loaded.metrics == Results(best_epoch=1)
    found = loaded.model.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_the_first_format_is_read(folder):
    found, state = bundle.load(folder).model.state_dict(), make_bundle().model.state_dict()
    assert found.keys() == state.keys() and all(torch.equal(found[key], state[key]) for key in state)


def test_what_a_migration_does_not_find_is_damage(folder, format_3):
    format_3(1, lambda documents, tensors: (documents["gone"], tensors))
    with pytest.raises(DamagedBundleError, match=r"not in format 1, as it says: KeyError\('gone'\)"):
        bundle.load(folder)


def test_there_is_a_migration_from_every_older_format():
    assert sorted(bundle.MIGRATIONS) == list(range(1, bundle_files.FORMAT))


def test_a_newer_format_is_refused_naming_both_versions_before_all_else(folder):
    (folder / "code.py").write_text("")
    forge_manifest(folder, lambda manifest: manifest.update(format=7, polymodal="9.8.7", files={"../code.py": {}}))
    with pytest.raises(NewerBundleError, match=rf"format 7, .*'9\.8\.7'.* {__version__}, .*formats up to 2"):
        bundle.load(folder)
