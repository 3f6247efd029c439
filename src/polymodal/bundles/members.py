"""What a bundle may hold beside its fixed files: members, each owned by a registered part that reads and writes it.

A part of the kind `bundle_members` is found like any other: a file `bundle_members/NAME.py`, or an entry point of the
group `polymodal.bundle_members`. It owns the folder `NAME/` of a bundle, or a file `NAME.json`. A path that no part
owns is refused, by its text alone: names in a bundle are compared with those of the registered parts and never opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import ClassVar, Protocol, runtime_checkable

from polymodal import registry
from polymodal.errors import ConfigError
from polymodal.files.streams import Content, size_of

KIND = "bundle_members"
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # what Windows opens instead of a file


@runtime_checkable
class BundleMember(Protocol):
    """Something that is saved in a bundle beside the model, such as an index.

    Attributes:
        files: the paths in the bundle that it may have: `("index/ids.json", "index/part-*.safetensors")`, or
            `("calibrator.json",)`. The first word of each is the registered name; `*` stands for any characters
            but `/`.
        limit: bytes of all its files together; more is neither written nor read.
    """

    files: ClassVar[tuple[str, ...]]
    limit: ClassVar[int]

    @classmethod
    def read(cls, files: Mapping[str, bytes]) -> BundleMember:
        """The member that some files hold, by path: allowed paths, within the limit, but perhaps not all of them.

        They may come from a stranger: everything in them is checked, nothing that they name is opened or imported.

        Raises:
            ValueError: a file is missing, or not what `write` would write.
        """

    def write(self) -> Mapping[str, Content]:
        """Its files by path: tensors (`tensorfile.TensorFile`), strict JSON, plain text; the same for the same member.

        Raises:
            ValueError: it cannot be saved.
        """


def check_path(path: str) -> None:
    """Refuses what is not the plain relative path of a file, at most one folder deep.

    Raises:
        ValueError: says what is wrong with it.
    """
    words = path.split("/")
    flaws = {
        "it is absolute": path.startswith("/") or path[1:2] == ":",
        "it holds a backslash": "\\" in path,
        "it leaves the bundle by '..'": ".." in words,
        "it lies deeper than one folder": len(words) > 2,
        "a device has that name on Windows": any(map(_DEVICE.fullmatch, words)),
        "a name is letters, digits, and '_', '-', '.' after the first": not all(map(_WORD.fullmatch, words)),
        "a name ends with a dot": any(word.endswith(".") for word in words),
    }
    for flaw, found in flaws.items():
        if found:
            raise ValueError(f"{path[:80]!r} is no path of a file in a bundle: {flaw}")


def check_clashes(paths: Iterable[str]) -> None:
    """Refuses paths that some file systems cannot tell apart, and a path that is both a file and a folder.

    Raises:
        ValueError: names two that clash.
    """
    spelled: dict[str, str] = {}
    for path in paths:
        folder = path.rpartition("/")[0]
        for words in [f"{folder}/", path] if folder else [path]:
            key = words.rstrip("/").casefold()
            if spelled.setdefault(key, words) != words:
                raise ValueError(f"{spelled[key]!r} and {words!r} clash: they are one name where case does not count")


def owner(path: str) -> str:
    """The name of the part that owns a path: its first word.

    >>> owner("index/ids.json"), owner("calibrator.json")
    ('index', 'calibrator')
    """
    return path.partition("/")[0].partition(".")[0]


def check(sizes: Mapping[str, int]) -> None:
    """Refuses files of members, by path with their bytes, that no registered part would write.

    Raises:
        ConfigError: no part is registered under the name of a member: it may not be installed.
        ValueError: a path is not one of its part's, or the files of a member are larger than its limit.
    """
    known = registry.names(KIND)
    for path in sizes:
        check_path(path)
        if owner(path) not in known:
            words = registry.known(KIND, owner(path))
            raise ConfigError(f"{path!r}: no {registry.describe(KIND)} is called {owner(path)!r}.{words}")
    for name in sorted(set(map(owner, sizes))):
        part = registry.load(KIND, name)
        mine = {path: size for path, size in sizes.items() if owner(path) == name}
        for path in mine:
            if not any(_matches(path, pattern) for pattern in part.files):
                raise ValueError(f"{path!r} is no file of the member {name!r}, which may have {', '.join(part.files)}")
        if (total := sum(mine.values())) > part.limit:
            raise ValueError(f"the member {name!r} has {total} bytes; the limit is {part.limit}")


def write(members: Mapping[str, BundleMember], *, reserved: Iterable[str] = ()) -> dict[str, Content]:
    """The files of all members, by path; none is one of those `reserved`.

    Raises:
        ConfigError: no part is registered under the name of a member.
        TypeError: a member is not what is registered under its name.
        ValueError: a member cannot be saved, or would not be read back.
    """
    files: dict[str, Content] = {}
    for name, member in sorted(members.items()):
        if not isinstance(member, part := registry.load(KIND, name)):
            raise TypeError(f"the member {name!r} is a {type(member).__name__}, not a {part.__name__}")
        written = member.write()
        if foreign := [path for path in written if owner(path) != name or path in reserved]:
            raise ValueError(f"the member {name!r} would write {foreign[0]!r}, which is not its own")
        if not written:
            raise ValueError(f"the member {name!r} has no files")
        files |= written
    check({path: size_of(content) for path, content in files.items()})
    return files


def _matches(path: str, pattern: str) -> bool:
    """Word by word, so that a `*` does not reach into a folder."""
    words, patterns = PurePosixPath(path).parts, PurePosixPath(pattern).parts
    return len(words) == len(patterns) and all(map(fnmatchcase, words, patterns))
