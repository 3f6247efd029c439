import errno
import os
import pickle
import struct
from importlib import import_module

import pytest
import torch
from small_bundle import content, forge, forge_manifest, make_bundle

from polymodal import registry
from polymodal.bundles import bundle
from polymodal.bundles import files as bundle_files
from polymodal.bundles.members import BundleMember, check_clashes, check_path
from polymodal.errors import BundleError, DamagedBundleError, MissingExtraError

PLUGIN = """
import json
from polymodal.files import strict_json, tensorfile

class Index:
    files = ("index/ids.json", "index/part-*.safetensors")
    limit = 2**20

    def __init__(self, ids, vectors):
        self.ids, self.vectors = ids, vectors

    @classmethod
    def read(cls, files):
        if "index/ids.json" not in files:
            raise ValueError("index/ids.json is missing")
        return cls(strict_json.parse(files["index/ids.json"]), tensorfile.decode(files["index/part-0.safetensors"]))

    def write(self):
        ids = strict_json.dump(self.ids)
        return {"index/part-0.safetensors": tensorfile.TensorFile(self.vectors), "index/ids.json": ids}

class Calibrator:
    files = ("calibrator.json",)
    limit = 100

    def __init__(self, temperature):
        self.temperature = temperature

    @classmethod
    def read(cls, files):
        return cls(strict_json.parse(files["calibrator.json"])["temperature"])

    def write(self):
        return {"calibrator.json": strict_json.dump({"temperature": self.temperature})}

class Config(Calibrator):
    files = ("config.json",)

    def write(self):
        return {"config.json": b"{}"}
"""
ENTRIES = """
[polymodal.bundle_members]
index = bundle_extras:Index
calibrator = bundle_extras:Calibrator
config = bundle_extras:Config
"""


@pytest.fixture
def extras(tmp_path, monkeypatch):
    """A package of another's, as an installer would leave it."""
    site = tmp_path / "site"
    (site / "bundle_extras-1.0.dist-info").mkdir(parents=True)
    (site / "bundle_extras-1.0.dist-info" / "METADATA").write_text("Name: bundle-extras\nVersion: 1.0\n")
    (site / "bundle_extras-1.0.dist-info" / "entry_points.txt").write_text(ENTRIES)
    (site / "bundle_extras.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(site)
    plugins = registry._plugins
    plugins.cache_clear()
    yield import_module("bundle_extras")
    plugins.cache_clear()


@pytest.fixture
def full(extras):
    vectors = {"vectors": torch.arange(6.0).reshape(2, 3).T}
    return make_bundle(members={"index": extras.Index(["b", "ä"], vectors), "calibrator": extras.Calibrator(1.5)})


@pytest.fixture
def folder(full, tmp_path):
    bundle.save(full, tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def unopened(extras, monkeypatch):
    """Fails the test if a member is read."""
    for part in (extras.Index, extras.Calibrator):
        monkeypatch.setattr(part, "read", lambda files: pytest.fail("read"))


# Round trip


def assert_whole(members):
    assert sorted(members) == ["calibrator", "index"]
    assert all(isinstance(member, BundleMember) for member in members.values())
    assert members["calibrator"].temperature == 1.5
    assert members["index"].ids == ["b", "ä"]
    assert members["index"].vectors["vectors"].equal(torch.arange(6.0).reshape(2, 3).T)


def test_members_are_saved_and_loaded(folder):
    paths = {"calibrator.json", "index/ids.json", "index/part-0.safetensors", *bundle_files.LIMITS}
    assert content(folder).keys() == {"manifest.json", *paths}
    assert bundle_files.read(folder).files == {path: content(folder)[path] for path in paths}
    assert_whole(bundle.load(folder).members)


def test_members_are_in_the_bytes_which_are_the_same_for_the_same_bundle(full):
    data = bundle.to_bytes(full)
    assert_whole(bundle.from_bytes(data).members)
    assert bundle.to_bytes(bundle.from_bytes(data)) == data


def test_a_bundle_without_members_holds_none_and_replaces_one_with(folder):
    bundle.save(make_bundle(), folder)
    assert content(folder).keys() == {"manifest.json", *bundle_files.LIMITS}
    assert bundle.load(folder).members == {}


def test_a_bundle_is_replaced_even_where_the_parts_of_its_members_are_gone(folder, monkeypatch):
    monkeypatch.setattr(registry, "_plugins", lambda kind: {})
    bundle.save(make_bundle(), folder)
    assert bundle.load(folder).members == {}


def test_a_file_of_the_users_among_those_of_a_member_is_not_overwritten(folder):
    (folder / "index" / "thesis.txt").write_text("mine")
    with pytest.raises(BundleError, match="holds other files"):
        bundle.save(make_bundle(), folder)
    assert (folder / "index" / "thesis.txt").read_text() == "mine"


# Saving


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("gone", {}, "No bundle member is called 'gone'.*Known: calibrator, config, index"),
        ("index", {}, "'index' is a Calibrator, not a Index"),
        ("config", {}, "'config' would write 'config.json', which is not its own"),
        ("calibrator", {"index/ids.json": b""}, "'calibrator' would write 'index/ids.json'"),
        ("calibrator", {}, "'calibrator' has no files"),
        ("calibrator", {"calibrator.txt": b""}, "'calibrator.txt' is no file of .* may have calibrator.json"),
        ("calibrator", {"calibrator/../x": b""}, r"leaves the bundle by '\.\.'"),
        ("calibrator", {"calibrator.json": bytes(101)}, "'calibrator' has 101 bytes; the limit is 100"),
        ("calibrator", {"calibrator.json": pickle.dumps({}, protocol=4)}, "'calibrator.json' is a pickle"),
    ],
)
def test_what_would_not_be_read_back_is_refused(extras, monkeypatch, tmp_path, name, change, reason):
    member = extras.Config(1.0) if name == "config" else extras.Calibrator(1.0)
    if name == "calibrator":
        monkeypatch.setattr(member, "write", lambda: change)
    for action in (bundle.to_bytes, lambda value: bundle.save(value, tmp_path / "new")):
        with pytest.raises(BundleError, match=reason):
            action(make_bundle(members={name: member}))
    assert not (tmp_path / "new").exists()


def test_too_many_files_for_a_manifest_are_refused(extras, monkeypatch, tmp_path):
    member = extras.Index([], {})
    monkeypatch.setattr(member, "write", lambda: {f"index/part-{n}.safetensors": b"" for n in range(999)})
    with pytest.raises(BundleError, match="1004 files are too many"):
        bundle.save(make_bundle(members={"index": member}), tmp_path / "new")
    assert not (tmp_path / "new").exists()


class Failing:
    """Content whose disk is full after some blocks."""

    size = 1000

    def blocks(self):
        yield bytes(100)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_writer_that_fails_midway_keeps_the_old_bundle(extras, folder, monkeypatch):
    before = content(folder)
    member, calls = extras.Index([], {}), []

    class Later(Failing):
        def blocks(self):
            calls.append(1)
            return super().blocks() if len(calls) > 1 else iter([bytes(16)])  # looked at first, then written

    monkeypatch.setattr(member, "write", lambda: {"index/part-0.safetensors": Later()})
    with pytest.raises(BundleError, match=r"No space left on device\. What was there before is unchanged"):
        bundle.save(make_bundle(members={"index": member}), folder)
    assert len(calls) == 2
    assert content(folder) == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["bundle", "site"]


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_disk_that_refuses_midway_keeps_the_old_bundle(folder):
    import resource

    before = content(folder)
    value = make_bundle()
    value.model.register_buffer("large", torch.zeros(5_000_000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, limits[1]))
    try:
        with pytest.raises(BundleError, match=r"File too large.*unchanged"):
            bundle.save(value, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert content(folder) == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["bundle", "site"]


# Attacks: the manifest agrees with every file


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../evil", r"leaves the bundle by '\.\.'"),
        ("index/../evil", r"leaves the bundle by '\.\.'"),
        ("/etc/passwd", "absolute"),
        ("C:evil", "absolute"),
        ("index\\ids.json", "backslash"),
        ("index/a/part-1.safetensors", "deeper than one folder"),
        ("index/./ids.json", "deeper than one folder"),
        ("index/", "a name is letters"),
        ("index//", "deeper"),
        ("index/.hidden", "a name is letters"),
        ("index/part-\u0000.safetensors", "a name is letters"),
        ("index/part-ä.safetensors", "a name is letters"),
        ("", "a name is letters"),
        ("index/aux.json", "a device"),
        ("NUL", "a device"),
        ("index/part-1.", "ends with a dot"),
        ("index/other.json", "is no file of the member 'index', which may have index/ids.json, index/part"),
        ("index", "is no file of the member 'index'"),
        ("index.json", "is no file of the member 'index'"),
        ("calibrator/calibrator.json", "is no file of the member 'calibrator'"),
        ("code/run.py", "no bundle member is called 'code'. Known: calibrator, config, index"),
        ("Index/ids.json", "no bundle member is called 'Index'. Did you mean 'index'"),
        ("manifest.json", "no bundle member is called 'manifest'"),
    ],
)
def test_a_path_that_nobody_owns_is_refused_before_anything_is_opened(folder, unopened, path, reason):
    def add(manifest):
        manifest["files"][path] = manifest["files"]["README.md"]

    forge_manifest(folder, add)
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("/nowhere")  # would be the next complaint
    with pytest.raises(BundleError, match="not a regular file"):
        bundle.load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(BundleError, match=f"manifest.json.*{reason}"):
        bundle.load(folder)


def test_paths_that_differ_by_case_are_refused(folder, unopened):
    for name in ("part-a", "part-A"):
        forge(folder, f"index/{name}.safetensors", b"")
    with pytest.raises(DamagedBundleError, match=r"'index/part-A\.safetensors' and 'index/part-a\.safetensors' clash"):
        bundle.load(folder)


def test_paths_that_are_a_file_and_a_folder_clash():
    check_clashes(["a/b", "a/c", "b", "a/d"])
    for paths in (["a", "a/b"], ["a/b", "a"], ["A/b", "a/c"], ["a/B", "a/b"], ["README.md", "readme.MD"]):
        with pytest.raises(ValueError, match="clash"):
            check_clashes(paths)
    check_path("index/part-0.safetensors")


@pytest.mark.parametrize("path", ["index/ids.json", "calibrator.json"])
@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_links_devices_and_folders_are_no_files(folder, unopened, tmp_path, path, kind):
    (folder / path).rename(tmp_path / "elsewhere")
    if kind == "link":
        (folder / path).symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        (folder / path).mkdir()
    elif hasattr(os, "mkfifo"):
        os.mkfifo(folder / path)
    else:
        pytest.skip("no FIFOs here")
    with pytest.raises(DamagedBundleError, match=r"is not a regular file|'calibrator\.json/' does not belong"):
        bundle.load(folder)


def test_a_linked_folder_is_not_entered(folder, unopened, tmp_path):
    (folder / "index").rename(tmp_path / "elsewhere")
    (folder / "index").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedBundleError, match="'index' is not a regular file"):
        bundle.load(folder)


@pytest.mark.parametrize("path", ["index/code.py", "more/code.py", "code.py", "empty/"])
def test_a_file_that_the_manifest_does_not_list_is_named(folder, unopened, path):
    target = folder / path
    (target if path.endswith("/") else target.parent).mkdir(exist_ok=True)
    if not path.endswith("/"):
        target.write_text("")
    with pytest.raises(DamagedBundleError, match=f"'{path}' does not belong there"):
        bundle.load(folder)


def test_a_missing_file_of_a_member_is_named(folder, unopened):
    (folder / "index" / "ids.json").unlink()
    with pytest.raises(DamagedBundleError, match=r"'index/ids\.json' is missing"):
        bundle.load(folder)


def test_a_changed_or_cut_file_of_a_member_is_found(folder, unopened):
    whole = (folder / "index" / "part-0.safetensors").read_bytes()
    for data in (whole[:-1], whole + b"x", whole[:-1] + b"\x01"):
        (folder / "index" / "part-0.safetensors").write_bytes(data)
        with pytest.raises(DamagedBundleError, match=r"'index/part-0\.safetensors'.*(saved|sha256)"):
            bundle.load(folder)


def test_a_pickle_in_a_member_is_not_opened(folder, unopened):
    forge(folder, "index/ids.json", pickle.dumps({"a": b"x" * 200}))
    with pytest.raises(DamagedBundleError, match=r"'index/ids\.json' is a pickle"):
        bundle.load(folder)


def test_a_member_over_its_limit_is_refused_before_it_is_read(folder, unopened):
    forge_manifest(folder, lambda manifest: manifest["files"]["index/ids.json"].update(size=2**40))
    with pytest.raises(DamagedBundleError, match=rf"'index' has {2**40 + 96} bytes; the limit is {2**20}"):
        bundle.load(folder)
    forge_manifest(folder, lambda manifest: manifest["files"]["index/ids.json"].update(size=-1))
    with pytest.raises(DamagedBundleError, match="impossible size"):
        bundle.load(folder)


def test_a_member_that_its_part_refuses_is_named(folder):
    forge(folder, "index/part-0.safetensors", struct.pack("<Q", 2**62))
    with pytest.raises(DamagedBundleError, match="member 'index' cannot be read: a header of"):
        bundle.load(folder)
    forge(folder, "calibrator.json", b"[]")
    with pytest.raises(DamagedBundleError, match="member 'calibrator' cannot be read"):
        bundle.load(folder)


def test_a_member_may_need_an_extra(folder, extras, monkeypatch):
    def read(files):
        raise MissingExtraError("faiss", "index", "This index")

    monkeypatch.setattr(extras.Index, "read", read)
    with pytest.raises(MissingExtraError, match="index"):
        bundle.load(folder)


def test_a_member_whose_part_is_not_installed_is_named(folder, full, monkeypatch):
    data = bundle.to_bytes(full)
    monkeypatch.setattr(registry, "_plugins", lambda kind: {})
    for action in (lambda: bundle.load(folder), lambda: bundle.from_bytes(data)):
        with pytest.raises(
            BundleError, match=r"'calibrator.json': no bundle member is called 'calibrator'. Known: row_hashes"
        ):
            action()
