"""Archives and clients for tests of recipes: nothing here reaches a network."""

from __future__ import annotations

import io
import stat
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest


def tar(files: Mapping[str, bytes], compression: str = "gz", extra: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for entry in extra:
            archive.addfile(entry)
    return out.getvalue()


def deb(files: Mapping[str, bytes], compression: str = "xz", extra: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
    """A Debian package: deb(5)."""
    data = tar({f"./{name}": content for name, content in files.items()}, compression, extra)
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", f"data.tar.{compression}": data}
    out = b"!<arch>\n"
    for name, content in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out


def wheel(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


class Clients:
    """Programs of these names on a PATH that holds nothing else; each copies what it is asked for, and keeps a log."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin, self.shelf, self.log = folder / "bin", folder / "shelf", folder / "log"
        self.bin.mkdir()
        self.shelf.mkdir()
        self.log.touch()
        monkeypatch.setenv("PATH", str(self.bin))

    def add(self, client: str, files: Mapping[str, bytes] | None = None, *, ends: str = "") -> None:
        """A client that brings the files whose names begin as a word of its command does; `ends`: last lines of it."""
        for name, data in (files or {}).items():
            (self.shelf / name).write_bytes(data)
        program = self.bin / client
        program.write_text(
            f"#!{sys.executable}\n"
            "import pathlib, re, shutil, sys\n"
            f"with open({str(self.log)!r}, 'a') as log: log.write(' '.join([{client!r}, *sys.argv[1:]]) + '\\n')\n"
            "name = re.split('==|@', sys.argv[-1])[0]\n"
            f"for file in pathlib.Path({str(self.shelf)!r}).iterdir():\n"
            "    if file.name.replace('_', '-').startswith(name + '-'): shutil.copy(file, '.')\n"
            f"{ends}\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()
