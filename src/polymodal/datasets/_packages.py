"""Gets packages through the system's own clients: pip, apt-get and npm. No root, nothing installed, nothing run."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from polymodal.errors import UsageError

_MOST_WORDS = 400  # characters of what a failed client said


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
