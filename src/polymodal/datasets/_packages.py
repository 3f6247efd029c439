"""Gets packages through the system's own clients (pip, apt-get, npm), and unpacks their .whl, .deb and .tgz files.

No root, nothing installed, nothing run. No name in an archive leads out of the folder, and sizes are bounded.
"""

from __future__ import annotations

import importlib.util
import io
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from polymodal.errors import DataError, UsageError

MOST_BYTES = 2**31  # of all files together
MOST_FILES = 200_000
_CHUNK = 2**20
_ODD = {"\\", "\0"}  # a slash on Windows; ends a path
_BLOCK = 60  # bytes of the header of a member of an ar archive
_MOST_WORDS = 400  # characters of what a failed client said
_Member = tuple[str, str, Callable[[], IO[bytes] | None]]
"""Name; `file`, `folder` or what else it is; opens it."""


@dataclass(frozen=True)
class Package:
    """One package of a registry.

    Attributes:
        client: the program that downloads it.
        name: as the registry calls it.
        version: exact; None: what the system's release carries.
    """

    client: Literal["pip", "apt-get", "npm"]
    name: str
    version: str | None = None

    @property
    def pattern(self) -> str:
        """What its file is called, as a glob."""
        stem = {"pip": self.name.replace("-", "_") + "-", "apt-get": self.name + "_", "npm": self.name + "-"}
        return f"{stem[self.client]}{self.version or ''}*{_ENDINGS[self.client]}"

    @property
    def page(self) -> str:
        """Where a person finds the file."""
        return _PAGES[self.client] + self.name


_ENDINGS = {"pip": ".whl", "apt-get": ".deb", "npm": ".tgz"}
_PAGES = {
    "pip": "https://pypi.org/project/",
    "apt-get": "https://packages.debian.org/",
    "npm": "https://www.npmjs.com/package/",
}
_SYSTEMS = {
    "pip": "Install it with: python -m ensurepip",
    "apt-get": "It belongs to Debian and its relatives; elsewhere run this in a container such as debian:bookworm",
    "npm": "It comes with Node.js",
}


@contextmanager
def archives(packages: Sequence[Package], store: Path) -> Iterator[tuple[list[Path], Path]]:
    """The files of packages, in their order, and an empty folder to unpack them in, which is removed afterwards.

    Files that are not in the store are downloaded to it. When the body ends without an error the store is removed;
    after an error it stays, so that what is there already need not come again. A download that was cut short does not
    count: it lies under another name.

    Raises:
        UsageError: a client is missing, or it failed.
    """
    store.mkdir(parents=True, exist_ok=True)
    files = [fetch(package, store) for package in packages]
    with tempfile.TemporaryDirectory(prefix="polymodal-") as folder:
        yield files, Path(folder)
    shutil.rmtree(store)


def fetch(package: Package, store: Path) -> Path:
    """The file of a package: the one in the store, else downloaded into it.

    Raises:
        UsageError: the client is missing, failed, or left no such file.
    """
    if found := sorted(store.glob(package.pattern)):
        return found[0]
    command = _command(package, store)
    with tempfile.TemporaryDirectory(dir=store, prefix=".partial-") as partial:
        # The name is the recipe's own, never a user's; the list form means that no shell reads it.
        done = subprocess.run(command, cwd=partial, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        files = sorted(Path(partial).glob(package.pattern))
        if done.returncode != 0 or not files:
            said = " ".join((done.stderr or done.stdout).decode(errors="replace").split())[-_MOST_WORDS:]
            lists = "If it knows no such package, its lists may be old: apt-get update, as root. "
            raise UsageError(
                f"{' '.join(command)} did not bring {package.name} (code {done.returncode}): "
                f"{said or 'it gave no reason'}. {lists if package.client == 'apt-get' else ''}"
                f"{_by_hand(package, store)}"
            )
        return files[0].rename(store / files[0].name)


def _command(package: Package, store: Path) -> list[str]:
    """The words to call; wheels only and no scripts, so that nothing of a package runs here."""
    program = shutil.which(package.client) or (shutil.which("pip3") if package.client == "pip" else None)
    words = [program] if program else []
    if not words and package.client == "pip" and importlib.util.find_spec("pip"):
        words = [sys.executable, "-m", "pip"]
    if not words:
        raise UsageError(
            f"Getting {package.name} needs the program {package.client!r}, which is not on the PATH. "
            f"{_SYSTEMS[package.client]}. {_by_hand(package, store)}"
        )
    if package.client == "pip":
        options = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", "."]
        return [*words, *options, f"{package.name}=={package.version}" if package.version else package.name]
    if package.client == "npm":
        exact = f"{package.name}@{package.version}" if package.version else package.name
        return [*words, "pack", "--silent", "--ignore-scripts", exact]
    return [*words, "download", "--quiet", package.name]


def _by_hand(package: Package, store: Path) -> str:
    return f"Or put a copy of {package.pattern} from {package.page} into {store}, which is emptied afterwards."


def unpack(archive: Path, folder: Path, *wanted: str) -> None:
    """Writes the files of an archive whose names match one of the globs; `*` matches slashes too.

    Every name is checked, also of what is not wanted. Links and devices that are wanted are refused, others left out.

    Raises:
        DataError: the archive is damaged or of no known kind; a name leads out of the folder; two names differ in
            case alone; a link or device is wanted; the files are too many or too large.
    """
    written: dict[str, str] = {}
    budget = MOST_BYTES
    try:
        for name, kind, opened in _members(archive):
            path = _safe(archive, name)
            if kind == "folder" or not any(fnmatchcase(str(path), pattern) for pattern in wanted):
                continue
            if kind != "file":
                raise DataError(f"{archive}: {name!r} is {kind}; it is not unpacked.")
            clash = written.setdefault(str(path).casefold(), name)
            if clash != name or len(written) > MOST_FILES:
                why = f"{name!r} and {clash!r} differ in case alone" if clash != name else "it holds too many files"
                raise DataError(f"{archive}: {why}; it is not unpacked.")
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            source = opened()
            assert source is not None, "a regular file can be opened"
            with source, target.open("xb") as file:
                while chunk := source.read(_CHUNK):
                    budget -= len(chunk)
                    if budget < 0:
                        raise DataError(f"{archive}: it unpacks to more than {MOST_BYTES:,} bytes.")
                    file.write(chunk)
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, FileExistsError) as error:
        raise DataError(f"{archive}: it is damaged: {error}. Delete it and build again.") from error


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or set(name) & _ODD:
        raise DataError(f"{archive}: the name {name!r} leads out of the folder; nothing of it is used from there on.")
    return path


def _members(archive: Path) -> Iterator[_Member]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                mode = entry.external_attr >> 28
                kind = "folder" if entry.is_dir() else "file" if mode in (0, 0o10) else "a link or device"
                yield entry.filename, kind, partial(opened.open, entry)
        return
    with _tar(archive) as tar:
        for item in tar:
            kind = "file" if item.isfile() else "folder" if item.isdir() else "a link or device"
            yield item.name, kind, partial(tar.extractfile, item)


@contextmanager
def _tar(archive: Path) -> Iterator[tarfile.TarFile]:
    """The tar inside: a .deb is an ar archive with a member data.tar.COMPRESSION (deb(5))."""
    if archive.suffix != ".deb":
        with tarfile.open(archive, "r:*") as tar:
            yield tar
        return
    with archive.open("rb") as file:
        name, size = _find_data(archive, file)
        if name.endswith(".zst"):  # no module of Python 3.11 reads it; the system that uses it brings dpkg-deb
            if (program := shutil.which("dpkg-deb")) is None:
                raise DataError(f"{archive}: it is compressed with Zstandard, which needs the program 'dpkg-deb'.")
            words = [program, "--fsys-tarfile", str(archive.absolute())]
            with (
                subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process,
                tarfile.open(fileobj=process.stdout, mode="r|") as tar,
            ):
                yield tar
            return
        with tarfile.open(fileobj=_Part(file, size), mode="r|*") as tar:
            yield tar


class _Part(io.RawIOBase):
    """The next `size` bytes of a file as a file."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.left = file, size

    def read(self, size: int = -1, /) -> bytes:
        data = self.file.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(data)
        return data


def _find_data(archive: Path, file: IO[bytes]) -> tuple[str, int]:
    """Name and size of the member `data.tar.*`; the file stands at its first byte."""
    if file.read(8) != b"!<arch>\n":
        raise DataError(f"{archive}: it is no Debian package. Delete it and build again.")
    while len(header := file.read(_BLOCK)) == _BLOCK:
        name, size = header[:16].decode("latin-1").strip().rstrip("/"), header[48:58].strip()
        if header[58:] != b"`\n" or not size.isdigit():
            break
        if name.startswith("data.tar"):
            return name, int(size)
        file.seek(int(size) + int(size) % 2, io.SEEK_CUR)  # members begin at even places
    raise DataError(f"{archive}: it holds no data.tar, or is cut short. Delete it and build again.")
