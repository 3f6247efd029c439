import hashlib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from polymodal import registry
from polymodal.datasets._cache import cached, default_root
from polymodal.errors import ConfigError


class Tiny:
    """A recipe that counts how often it is built."""

    title = source = licence = synthetic = "nothing"
    rows = 2
    version = 3
    built = 0
    fails = False

    def build(self, folder, *, seed=0, progress=None):
        type(self).built += 1
        (folder / "media").mkdir(parents=True)
        (folder / "media/0.txt").write_text("cell")
        if self.fails:
            raise ConfigError("no disk")
        time.sleep(0.02)  # so that others come meanwhile
        table = folder / "table.csv"
        table.write_text("id\n0\n1\n")
        if progress is not None:
            progress(2, 2)
        return table


@pytest.fixture
def recipe(monkeypatch):
    fresh = type("Fresh", (Tiny,), {})
    monkeypatch.setattr(registry, "load", lambda kind, name: {("datasets", "tiny"): fresh}[kind, name])
    return fresh


def test_built_once_then_used_again(recipe, tmp_path):
    seen = []
    first = cached("tiny", tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert first == tmp_path / "tiny-3" / "table.csv"
    assert first.read_text() == "id\n0\n1\n"
    assert cached("tiny", tmp_path) == first
    assert recipe.built == 1
    assert seen == [(2, 2)]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".tiny-3.lock", "tiny-3"]


def test_manifest_says_rows_and_hash(recipe, tmp_path):
    folder = cached("tiny", tmp_path).parent
    manifest = json.loads((folder / "manifest.json").read_text())
    digest = hashlib.sha256(b"id\n0\n1\n").hexdigest()
    assert manifest == {"rows": 2, "sha256": digest, "files": 2, "bytes": 11}


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "table.csv").write_text("id\n0\n2\n"),
        lambda folder: (folder / "table.csv").unlink(),
        lambda folder: (folder / "media/0.txt").unlink(),
        lambda folder: (folder / "media/0.txt").write_text("cel"),
        lambda folder: (folder / "manifest.json").write_text("{"),
        lambda folder: (folder / "manifest.json").write_bytes(b"\xff"),
        lambda folder: (folder / "manifest.json").unlink(),
    ],
    ids=["changed table", "no table", "no cell", "short cell", "half manifest", "odd manifest", "no manifest"],
)
def test_damaged_cache_is_built_again(recipe, tmp_path, damage):
    folder = cached("tiny", tmp_path).parent
    whole = {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    damage(folder)
    cached("tiny", tmp_path)
    assert recipe.built == 2
    assert {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == whole


def test_another_version_or_size_is_another_table(recipe, tmp_path):
    old = cached("tiny", tmp_path)
    recipe.version = 4
    assert cached("tiny", tmp_path) == tmp_path / "tiny-4" / "table.csv"
    assert old.exists()
    recipe.rows = 1
    cached("tiny", tmp_path)
    assert recipe.built == 3


def test_remains_of_a_killed_build_are_swept_away(recipe, tmp_path):
    (tmp_path / ".tiny-3.partial/media").mkdir(parents=True)
    (tmp_path / ".tiny-3.partial/media/9.txt").write_text("old")
    folder = cached("tiny", tmp_path).parent
    assert not (tmp_path / ".tiny-3.partial").exists()
    assert not (folder / "media/9.txt").exists()


def test_failed_build_leaves_nothing_that_counts(recipe, tmp_path):
    recipe.fails = True
    with pytest.raises(ConfigError, match="no disk"):
        cached("tiny", tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == [".tiny-3.lock"]
    recipe.fails = False
    assert cached("tiny", tmp_path).exists()


def test_those_who_come_together_build_once(recipe, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: cached("tiny", tmp_path), range(4)))
    assert paths == {tmp_path / "tiny-3" / "table.csv"}
    assert recipe.built == 1


def test_whole_cache_is_used_where_nothing_can_be_written(recipe, tmp_path, monkeypatch):
    table = cached("tiny", tmp_path)
    monkeypatch.setattr("polymodal.datasets._cache._locked", lambda path: pytest.fail("took the lock"))
    assert cached("tiny", tmp_path) == table


def test_unknown_recipe_gets_did_you_mean(tmp_path):
    with pytest.raises(ConfigError, match="avdigits"):
        cached("avdigit", tmp_path)
    assert not list(tmp_path.iterdir())


def test_default_root_is_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert default_root().is_relative_to(tmp_path)
    assert "polymodal" in default_root().parts
    if sys.platform == "linux":
        assert default_root() == tmp_path / ".cache/polymodal/datasets"
