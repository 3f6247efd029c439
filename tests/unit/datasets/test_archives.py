import os
import shutil
import subprocess
import tarfile
import zipfile

import pytest
from packed import deb, tar, wheel

from polymodal.datasets import _packages
from polymodal.datasets._packages import unpack
from polymodal.errors import DataError

FILES = {"a/one.txt": b"1" * 5000, "a/b/two.png": b"22", "c/three.txt": b""}
KINDS = {"x.deb": deb, "x.tgz": tar, "x.whl": wheel}


def _files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_wanted_comes_out(name, tmp_path):
    (tmp_path / name).write_bytes(KINDS[name](FILES))
    unpack(tmp_path / name, tmp_path / "all", "*")
    assert _files(tmp_path / "all") == FILES
    unpack(tmp_path / name, tmp_path / "some", "a/*.txt", "a/b/*")
    assert set(_files(tmp_path / "some")) == {"a/one.txt", "a/b/two.png"}


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
@pytest.mark.parametrize("compression", ["xz", "gzip", "zstd", "none"])
def test_packages_of_dpkg_deb_itself_are_read(compression, tmp_path):
    (tmp_path / "p/DEBIAN").mkdir(parents=True)
    control = "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: none\n"
    (tmp_path / "p/DEBIAN/control").write_text(control)
    (tmp_path / "p/usr").mkdir()
    (tmp_path / "p/usr/file").write_bytes(b"content")
    build = ["dpkg-deb", f"-Z{compression}", "--root-owner-group", "-b", str(tmp_path / "p"), str(tmp_path / "p.deb")]
    subprocess.run(build, check=True, capture_output=True)
    unpack(tmp_path / "p.deb", tmp_path / "out", "usr/*")
    assert _files(tmp_path / "out") == {"usr/file": b"content"}


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil-polymodal", "a\\..\\evil"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_leads_out_is_refused(kind, name, tmp_path):
    data = KINDS[kind]({name: b"x"}) if kind != "x.deb" or not name.startswith("/") else deb({"../../" + name: b"x"})
    (tmp_path / kind).write_bytes(data)
    for wanted in ("*", "other"):
        with pytest.raises(DataError, match="leads out of the folder"):
            unpack(tmp_path / kind, tmp_path / "in/out", wanted)
    assert [path.name for path in tmp_path.rglob("*evil*")] == []


def _entry(name, kind, target=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("pack", [tar, deb])
def test_links_and_devices_are_refused(kind, pack, tmp_path):
    path = tmp_path / ("x.tgz" if pack is tar else "x.deb")
    path.write_bytes(pack({"a": b"1"}, "gz", (_entry("b", kind, "/etc/passwd"),)))
    with pytest.raises(DataError, match="'b' is a link or device"):
        unpack(path, tmp_path / "out", "*")
    unpack(path, tmp_path / "others", "a")
    assert _files(tmp_path / "others") == {"a": b"1"}


def test_a_link_in_a_wheel_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.create_system, entry.external_attr = 3, 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match="'link' is a link or device"):
        unpack(tmp_path / "x.whl", tmp_path / "out", "*")


def test_names_that_differ_in_case_alone_are_refused(tmp_path):
    (tmp_path / "x.tgz").write_bytes(tar({"Readme": b"1", "README": b"2"}))
    with pytest.raises(DataError, match="differ in case alone"):
        unpack(tmp_path / "x.tgz", tmp_path / "out", "*")


def test_a_file_does_not_go_through_a_link_that_is_there(tmp_path):
    (tmp_path / "x.tgz").write_bytes(tar({"a": b"1"}))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError):
        unpack(tmp_path / "x.tgz", tmp_path / "out", "*")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", KINDS)
def test_a_bomb_stops_at_the_cap(name, tmp_path, monkeypatch):
    monkeypatch.setattr(_packages, "MOST_BYTES", 1_000_000)
    (tmp_path / name).write_bytes(KINDS[name]({f"{number}": bytes(300_000) for number in range(9)}))
    with pytest.raises(DataError, match="unpacks to more than 1,000,000 bytes"):
        unpack(tmp_path / name, tmp_path / "out", "*")
    assert sum(map(len, _files(tmp_path / "out").values())) <= 1_000_000


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_packages, "MOST_FILES", 10)
    (tmp_path / "x.tgz").write_bytes(tar({str(number): b"" for number in range(20)}))
    with pytest.raises(DataError, match="too many files"):
        unpack(tmp_path / "x.tgz", tmp_path / "out", "*")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.95])
def test_a_download_cut_short_is_named(name, share, tmp_path):
    data = KINDS[name]({str(number): os.urandom(3000) for number in range(5)})
    (tmp_path / name).write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError, match=name):
        unpack(tmp_path / name, tmp_path / "out", "*")


def test_what_is_no_package_is_named(tmp_path):
    for name in KINDS:
        (tmp_path / name).write_bytes(b"<html>not found</html>" * 20)
        with pytest.raises(DataError, match=name):
            unpack(tmp_path / name, tmp_path / "out", "*")


def test_zstandard_without_dpkg_deb_says_what_is_needed(tmp_path, monkeypatch):
    data = deb(FILES, "xz").replace(b"data.tar.xz ", b"data.tar.zst")
    (tmp_path / "x.deb").write_bytes(data)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="needs the program 'dpkg-deb'"):
        unpack(tmp_path / "x.deb", tmp_path / "out", "*")
