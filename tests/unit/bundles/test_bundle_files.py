import errno
import hashlib
import json
import os
import pickle

import pytest
import torch
from small_bundle import content, forge, forge_manifest

from polymodal import __version__
from polymodal.bundles import files as bundle_files
from polymodal.bundles.files import pack, read, unpack, write
from polymodal.errors import BundleError, DamagedBundleError, NewerBundleError

FILES = {
    "README.md": "# Cärd\n".encode() * 9,
    "config.json": b'{"a": 1}' * 9,
    "metrics.json": b"{}" * 9,
    "schema.json": bytes(range(256)),
    "weights.safetensors": b"\x80\x02\x00\x00\x00\x00\x00\x00{" + bytes(1_000),  # 640 bytes of header: no pickle
}
ALL = [*FILES, "manifest.json"]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "bundle", FILES)
    return tmp_path / "bundle"


# Round trip


def test_round_trip(folder):
    sealed = read(folder)
    assert sealed.files == FILES
    assert sealed.format == 2
    assert str(folder) in sealed.source


def test_the_folder_is_as_documented_and_its_size_is_said(tmp_path):
    size = write(tmp_path / "runs" / "bundle", FILES)
    files = content(tmp_path / "runs" / "bundle")
    assert size == sum(map(len, files.values()))
    manifest = json.loads(files.pop("manifest.json"))
    assert files == FILES
    assert (manifest["format"], manifest["polymodal"]) == (2, __version__)
    assert manifest["files"] == {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in FILES.items()
    }


def test_bytes_round_trip_and_are_the_same_for_the_same_files():
    data = pack(FILES)
    assert unpack(data).files == FILES
    assert pack(dict(reversed(FILES.items()))) == data


# Writing


def test_replaces_a_bundle_and_fills_an_empty_folder(folder, tmp_path):
    write(folder, FILES | {"README.md": b"new"})
    assert read(folder).files["README.md"] == b"new"
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", FILES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "empty"]


def test_replaces_what_a_link_points_to(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    write(tmp_path / "link", FILES | {"README.md": b"new"})
    assert (tmp_path / "link").is_symlink()
    assert read(folder).files["README.md"] == read(tmp_path / "link").files["README.md"] == b"new"


@pytest.mark.parametrize("names", [["thesis.txt"], ["manifest.json", "thesis.txt"], ["README.md"]])
def test_does_not_overwrite_a_folder_that_is_no_bundle(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(BundleError, match="holds other files"):
        write(tmp_path, FILES)
    assert sorted(content(tmp_path)) == sorted(names)


def test_does_not_overwrite_a_file(tmp_path):
    (tmp_path / "bundle").write_text("mine")
    with pytest.raises(BundleError, match="a file is there"):
        write(tmp_path / "bundle", FILES)


@pytest.mark.parametrize("function", ["fsync", "replace", "mkdir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_failed_save_keeps_the_old_bundle(folder, monkeypatch, function, code):
    before = content(folder)

    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch, pytest.raises(BundleError, match=f"{os.strerror(code)}.*unchanged"):
        patch.setattr(os, function, fail)
        write(folder, FILES | {"README.md": b"new"})
    assert content(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_over_its_limit_is_neither_written_nor_read(folder, tmp_path, monkeypatch, name):
    data = pack(FILES)
    monkeypatch.setitem(bundle_files.LIMITS, name, 4)
    with pytest.raises(BundleError, match=f"{name} would have .* the limit is 4"):
        write(tmp_path / "other", FILES)
    with pytest.raises(DamagedBundleError, match="impossible size"):
        unpack(data)
    forge_manifest(folder, lambda manifest: manifest["files"][name].update(size=4))
    with pytest.raises(DamagedBundleError, match="bytes; the limit is 4"):
        read(folder)


def test_a_large_file_is_refused_before_it_is_read(folder):
    with (folder / "manifest.json").open("r+b") as file:
        file.truncate(2**40)  # sparse: takes no room
    with pytest.raises(DamagedBundleError, match=r"1099511627776 bytes; the limit"):
        read(folder)


# Damage


@pytest.mark.parametrize("name", ALL)
def test_a_flipped_bit_is_found(folder, name):
    whole = (folder / name).read_bytes()
    for position in range(0, len(whole), 1 + len(whole) // 40):
        data = bytearray(whole)
        data[position] ^= 1
        (folder / name).write_bytes(data)
        if name != "manifest.json" or not still_the_same_manifest(data, whole):
            with pytest.raises(BundleError):
                read(folder)


def still_the_same_manifest(data, whole):
    """Nothing depends on who wrote a bundle and when, so a bit may flip there."""
    try:
        left, right = json.loads(data), json.loads(whole)
    except ValueError:
        return False
    return (left.keys(), left["format"], left["files"]) == (right.keys(), right["format"], right["files"])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_truncation_is_found(folder, name, share):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DamagedBundleError, match=name):
        read(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(DamagedBundleError, match=f"'{name}' is missing"):
        read(folder)


@pytest.mark.parametrize("name", ["code.py", ".hidden", "readme.txt"])
def test_an_extra_file_is_named(folder, name):
    (folder / name).write_text("")
    with pytest.raises(DamagedBundleError, match=f"'{name}' does not belong"):
        read(folder)


@pytest.mark.parametrize("name", ALL)
def test_a_link_or_a_folder_is_no_file(folder, tmp_path, name):
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedBundleError, match=f"'{name}' is not a regular file"):
        read(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(DamagedBundleError, match=f"'{name}' is not a regular file"):
        read(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_does_not_hang(folder):
    (folder / "README.md").unlink()
    os.mkfifo(folder / "README.md")
    with pytest.raises(DamagedBundleError, match="not a regular file"):
        read(folder)


def test_no_bundle_there(tmp_path):
    with pytest.raises(BundleError, match="No such file"):
        read(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"holds no manifest.json\.$"):
        read(tmp_path)
    (tmp_path / "model.pkl").write_bytes(b"")
    with pytest.raises(BundleError, match="Not a directory"):
        read(tmp_path / "model.pkl")


def test_bytes_cut_anywhere_or_changed_are_refused():
    whole = pack(FILES)
    writer = range(whole.find(b'"polymodal": "'), whole.find(b"created"))
    for position in [*range(0, len(whole), 17), len(whole) - 1]:
        with pytest.raises(BundleError):
            unpack(whole[:position])
        changed = bytearray(whole)
        changed[position] ^= 0x20
        if position not in writer:
            with pytest.raises(BundleError):
                unpack(bytes(changed))
    with pytest.raises(DamagedBundleError, match="more follows"):
        unpack(whole + b"\x00")


# Attacks: the manifest agrees with every file


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5, "torch"])
def test_a_pickle_as_any_file_is_refused(folder, name, protocol):
    if protocol == "torch":
        torch.save({"a": torch.zeros(2)}, folder / name)
        data = (folder / name).read_bytes()
    else:
        data = pickle.dumps({"a": b"x" * 200}, protocol=protocol)
    forge(folder, name, data)
    with pytest.raises(DamagedBundleError, match=f"'{name}' is a pickle or a zip"):
        read(folder)
    if name != "manifest.json":
        with pytest.raises(DamagedBundleError, match=f"'{name}' is a pickle or a zip"):
            unpack(pack(FILES | {name: data}))


def test_a_pickle_instead_of_bytes_is_refused():
    with pytest.raises(DamagedBundleError, match="does not start"):
        unpack(pickle.dumps(FILES))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.update(signature="x"), "signature"),
        (lambda m: m.pop("created"), "created"),
        (lambda m: m.update(format="1"), "format"),
        (lambda m: m.update(format=True), "format"),
        (lambda m: m.update(format=0), "no format 0"),
        (lambda m: m.update(files=[]), "files"),
        (lambda m: m["files"].pop("README.md"), "a bundle holds"),
        (lambda m: m["files"].update({"../evil": m["files"]["README.md"]}), r"'\.\./evil' .* leaves the bundle"),
        (lambda m: m["files"]["README.md"].update(size=-1), "impossible size"),
        (lambda m: m["files"]["README.md"].update(size=2**60), "impossible size"),
        (lambda m: m["files"]["README.md"].update(sha256=""), "sha256"),
        (lambda m: m["files"]["README.md"].update(url="http://localhost"), "url"),
    ],
)
def test_a_manifest_with_an_unknown_key_or_an_impossible_value_is_refused(folder, change, reason):
    forge_manifest(folder, change)
    with pytest.raises(DamagedBundleError, match=f"manifest.json.*{reason}"):
        read(folder)


@pytest.mark.parametrize("data", [b'{"format": 1, "format": 1}', b"[NaN]", b"[]", b"null", b"\xff", b""])
def test_a_manifest_that_is_not_strict_json_is_refused(folder, data):
    forge(folder, "manifest.json", data)
    with pytest.raises(DamagedBundleError, match=r"manifest\.json"):
        read(folder)


def test_a_newer_format_is_refused_naming_both_versions(folder):
    forge_manifest(folder, lambda manifest: manifest.update(format=3, polymodal="9.8.7", unheard_of=True))
    with pytest.raises(NewerBundleError, match=rf"format 3, .*'9\.8\.7'.* {__version__}, .*formats up to 2"):
        read(folder)
