import errno
import os
import stat

import pytest

from polymodal.files.atomic import new_folder, write_file

OLD = {"a": b"old", "only_old": b"x"}
NEW = {"a": b"new", "b": bytes(100_000)}


def write_folder(folder, files):
    with new_folder(folder) as new:
        for name, data in files.items():
            write_file(new / name, data)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Failing:
    """Calls through, but raises at the call of a given number, once or from then on."""

    def __init__(self, function, number, error, *, lasting=False):
        self.function, self.number, self.error, self.lasting, self.calls = function, number, error, lasting, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        if self.calls == self.number or (self.lasting and self.calls > self.number):
            raise self.error
        return self.function(*args, **kwargs)


def test_writes_exactly_the_files(tmp_path):
    write_folder(tmp_path / "deep" / "down" / "folder", NEW)
    assert content(tmp_path / "deep" / "down" / "folder") == NEW
    assert [path.name for path in (tmp_path / "deep" / "down").iterdir()] == ["folder"]


def test_replaces_a_folder_whole(tmp_path):
    write_folder(tmp_path / "folder", OLD)
    write_folder(tmp_path / "folder", NEW)
    assert content(tmp_path / "folder") == NEW
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        write_folder(tmp_path / "folder", NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "folder" / "a").stat().st_mode) == 0o644


@pytest.mark.skipif(os.name != "posix", reason="counts the calls made on POSIX")
@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize(
    ("function", "number"), [("fsync", 1), ("fsync", 2), ("fsync", 3), ("fsync", 4), ("replace", 1), ("replace", 2)]
)
def test_an_error_at_any_step_leaves_everything_as_it_was(tmp_path, monkeypatch, function, number, exists):
    if exists:
        write_folder(tmp_path / "folder", OLD)
    elif (function, number) == ("replace", 2):
        pytest.skip("one rename suffices")
    failing = Failing(getattr(os, function), number, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(os, function, failing)
        write_folder(tmp_path / "folder", NEW)
    assert failing.calls >= number
    assert [path.name for path in tmp_path.iterdir()] == (["folder"] if exists else [])
    assert not exists or content(tmp_path / "folder") == OLD


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "I/O error")])
def test_an_interrupt_and_a_lasting_error_leave_everything_as_it_was(tmp_path, monkeypatch, error):
    write_folder(tmp_path / "folder", OLD)
    for number in range(1, 5):
        with monkeypatch.context() as patch, pytest.raises(type(error)):
            patch.setattr(os, "fsync", Failing(os.fsync, number, error, lasting=True))
            write_folder(tmp_path / "folder", NEW)
        assert content(tmp_path / "folder") == OLD
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_every_file_and_folder_is_forced_to_disk_before_the_rename(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(descriptor):
        events.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    def noting_replace(source, target, **kwargs):
        events.append("rename")
        replace(source, target, **kwargs)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    write_folder(tmp_path / "folder", NEW)
    assert events == [False, False, True, "rename", True] if os.name == "posix" else [False, False, "rename"]
