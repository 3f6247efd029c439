import pytest
import torch
from small_bundle import forge_header, forge_json, forge_manifest, make_bundle

from polymodal import __version__
from polymodal.bundles import bundle
from polymodal.bundles import files as bundle_files
from polymodal.bundles.migrations import MIGRATIONS, Migration
from polymodal.errors import DamagedBundleError, NewerBundleError
from polymodal.metrics.results import Results


@pytest.fixture
def folder(tmp_path):
    bundle.save(make_bundle(), tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def format_3(monkeypatch):
    """As if this were a later Polymodal."""
    for module in (bundle, bundle_files):
        monkeypatch.setattr(module, "FORMAT", 3)
    return lambda version, migration: monkeypatch.setitem(MIGRATIONS, version, migration)


def test_an_older_format_migrates_documents_and_weights(folder, format_3):
    state = make_bundle().model.state_dict()
    name, dropped = list(state)[:2]
    forge_json(folder, "metrics.json", lambda metrics: metrics.update(old=1))
    forge_header(folder, lambda header: header.update(first=header.pop(name)))

    def documents(documents):
        documents["metrics.json"]["best_epoch"] = documents["metrics.json"].pop("old")
        return documents

    def tensors(tensors, documents):
        assert documents["metrics.json"] == {"old": 1}  # as they were in the format of the tensors
        del tensors[dropped]
        return {{"first": "second"}.get(key, key): value for key, value in tensors.items()}

    def more_tensors(tensors, documents):
        assert documents["metrics.json"] == {"best_epoch": 1}
        return {{"second": name}.get(key, key): value for key, value in tensors.items()} | {dropped: state[dropped]}

    format_3(1, Migration(documents, tensors))
    format_3(2, Migration(lambda documents: documents, more_tensors))
    loaded = bundle.load(folder)
    assert loaded.metrics == Results(best_epoch=1)
    found = loaded.model.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_a_migration_leaves_weights_alone_unless_it_says_otherwise(folder, format_3):
    for version in (1, 2):
        format_3(version, Migration(lambda documents: documents | {"metrics.json": {"best_epoch": 1}}))
    assert bundle.load(folder).metrics == Results(best_epoch=1)


def test_what_a_migration_does_not_find_is_damage(folder, format_3):
    format_3(1, Migration(lambda documents: documents["gone"]))
    with pytest.raises(DamagedBundleError, match=r"not in format 1, as it says: KeyError\('gone'\)"):
        bundle.load(folder)


def test_there_is_a_migration_from_every_older_format():
    assert sorted(MIGRATIONS) == list(range(1, bundle_files.FORMAT))


def test_a_newer_format_is_refused_naming_both_versions_before_all_else(folder):
    (folder / "code.py").write_text("")
    forge_manifest(folder, lambda manifest: manifest.update(format=7, polymodal="9.8.7", files={"../code.py": {}}))
    with pytest.raises(NewerBundleError, match=rf"format 7, .*'9\.8\.7'.* {__version__}, .*formats up to 1"):
        bundle.load(folder)
