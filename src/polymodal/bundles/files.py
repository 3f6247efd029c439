"""The files of a bundle: sealed by a manifest, in one folder or in one string of bytes.

What the files mean is the business of `bundle`; here it is their names, sizes and hashes. Hashes find damage, not
malice: whoever alters a file can alter the manifest, so `bundle` checks the content as well. Beside the fixed files a
bundle may hold those of members, by paths such as `index/ids.json`; `bundles.members` says who owns them.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from pydantic import Field, StrictInt, ValidationError

from polymodal import __version__
from polymodal.bundles import members
from polymodal.errors import BundleError, ConfigError, DamagedBundleError, NewerBundleError
from polymodal.files import streams, strict_json
from polymodal.files.atomic import new_folder, write_file
from polymodal.files.streams import Content, Digest
from polymodal.schema import Record

FORMAT = 2  # of 1, equal tensors were stored once each
MANIFEST = "manifest.json"
CONFIG = "config.json"
SCHEMA = "schema.json"
METRICS = "metrics.json"
WEIGHTS = "weights.safetensors"
CARD = "README.md"
LIMITS = {  # bytes; a larger file is neither written nor read
    CARD: 2**22,
    CONFIG: 2**22,
    METRICS: 2**24,
    SCHEMA: 2**26,
    WEIGHTS: 2**35,
}
MANIFEST_LIMIT = 2**16
_MAGIC = b"polymodal bundle"
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")  # the last: torch.save makes a zip


@dataclass(frozen=True)
class Sealed:
    """Files whose sizes and hashes are right.

    Attributes:
        source: where they come from, for messages.
        format: version of the format they are written in, at most `FORMAT`.
        files: content by path, without the manifest; those of members after the fixed ones.
    """

    source: str
    format: int
    files: dict[str, bytes]


class _File(Record):
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: StrictInt


class _Manifest(Record):
    format: StrictInt
    polymodal: str
    created: str | None
    files: dict[str, _File]


@contextmanager
def refusing(where: str) -> Iterator[None]:
    """Turns what is wrong with a value inside a bundle into a BundleError that says where it is.

    Raises:
        DamagedBundleError: the body raised a ValueError (also pydantic's, json's, the decoders').
        BundleError: the body raised a ConfigError: a part that is unknown here may be one that is not installed.
    """
    try:
        yield
    except ConfigError as error:
        raise BundleError(f"{where}: {error}") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        path = ".".join(map(str, problem["loc"]))
        raise DamagedBundleError(f"{where}: {path}: {problem['msg']}.") from error
    except ValueError as error:
        raise DamagedBundleError(f"{where}: {error}.") from error


def write(folder: Path, files: Mapping[str, Content]) -> int:
    """Writes the files and their manifest as a folder, atomically, in place of a bundle that may be there.

    Each file is hashed while it is written, and no more of it is in memory than one block.

    Returns:
        Bytes written.

    Raises:
        BundleError: the folder holds something else than a bundle, a file is too large, or the disk refuses.
    """
    folder = folder.resolve()  # a link keeps pointing: what it points to is replaced
    paths = _writable(files)
    try:
        _refuse_to_overwrite(folder)
        with new_folder(folder) as new:
            digests = {path: write_file(new / path, files[path]) for path in paths}
            manifest = _manifest(digests, created=datetime.now(UTC).isoformat(timespec="seconds"))
            write_file(new / MANIFEST, manifest)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BundleError(f"Cannot save the bundle {folder}: {reason}. What was there before is unchanged.") from error
    return len(manifest) + sum(digest.size for digest in digests.values())


def read(folder: Path) -> Sealed:
    """The files of a bundle's folder, checked against its manifest.

    Raises:
        BundleError: no bundle is there, it cannot be read, or a member needs a part that is not installed.
        DamagedBundleError: a file is missing, too many, a link, too large, a pickle, or not what the manifest says.
        NewerBundleError: written in a newer format.
    """
    source = f"Bundle {folder}"
    files: dict[str, bytes] = {}
    try:
        present = _listing(folder)
        if MANIFEST not in present:
            inside = f" Did you mean {folder / 'bundle'}?" if (folder / "bundle" / MANIFEST).is_file() else ""
            raise BundleError(f"{folder} is not a bundle: it holds no {MANIFEST}.{inside}")
        if odd := [path for path, regular in sorted(present.items()) if not regular]:
            raise DamagedBundleError(f"{source}: {odd[0]!r} is not a regular file.")
        manifest = _read_manifest(source, _read_file(source, folder, MANIFEST, None))
        if odd := sorted(present.keys() ^ {MANIFEST, *manifest.files}):
            flaws = (f"{path!r} {'does not belong there' if path in present else 'is missing'}" for path in odd)
            raise DamagedBundleError(f"{source}: {', '.join(flaws)}.")
        for path, saved in manifest.files.items():
            files[path] = _read_file(source, folder, path, saved)
            _compare(source, path, files[path], saved)
    except OSError as error:
        raise BundleError(f"Cannot read the bundle {folder}: {error.strerror or error}.") from error
    return Sealed(source, manifest.format, files)


def pack(files: Mapping[str, Content]) -> bytes:
    """The files in one string of bytes, the same for the same files: magic, length of the manifest, manifest, files.

    Raises:
        BundleError: a file is too large.
    """
    paths = _writable(files)
    manifest = _manifest({path: streams.digest_of(files[path]) for path in paths}, created=None)
    start = len(_MAGIC) + 8 + len(manifest)
    whole = io.BytesIO(bytes(start + sum(streams.size_of(files[path]) for path in paths)))  # never has to grow
    whole.write(_MAGIC + len(manifest).to_bytes(8, "little") + manifest)
    for path in paths:
        streams.copy(files[path], whole.write)
    return whole.getvalue()


def unpack(data: bytes) -> Sealed:
    """The files of bytes that `pack` made.

    Raises:
        BundleError, DamagedBundleError, NewerBundleError: as `read`.
    """
    source = "Bundle in memory"
    stream = io.BytesIO(data)  # shares the memory of the bytes
    magic, length = stream.read(len(_MAGIC)), int.from_bytes(stream.read(8), "little")
    if magic != _MAGIC or length > MANIFEST_LIMIT:
        raise DamagedBundleError(f"{source}: it does not start as one.")
    manifest = _read_manifest(source, stream.read(length))
    if len(data) - stream.tell() != sum(file.size for file in manifest.files.values()):
        raise DamagedBundleError(f"{source}: it is cut short, or more follows it.")
    files: dict[str, bytes] = {}
    for path, saved in manifest.files.items():
        files[path] = stream.read(saved.size)
        _compare(source, path, files[path], saved)
    return Sealed(source, manifest.format, files)


def _writable(files: Mapping[str, Content]) -> list[str]:
    """The paths in the order in which they are written; what would not be read back is refused.

    Raises:
        BundleError: a file is too large, clashes with another, is a pickle, or belongs to nobody.
    """
    paths = _order(files)
    for name, limit in LIMITS.items():
        if (size := streams.size_of(files[name])) > limit:
            raise BundleError(f"Cannot save: {name} would have {size} bytes; the limit is {limit}.")
    with refusing("Cannot save"):
        _check_members({path: streams.size_of(files[path]) for path in paths})
    for path in paths:
        if path not in LIMITS:  # the others are known to be none
            head = b"".join(map(bytes, islice(streams.blocks_of(files[path]), 1)))
            _refuse_pickle("Cannot save", path, head)
    return paths


def _order(paths: Iterable[str]) -> list[str]:
    return [*LIMITS, *sorted(set(paths).difference(LIMITS))]


def _check_members(sizes: Mapping[str, int]) -> None:
    """Refuses paths beside the fixed ones that belong to no registered part, or that clash.

    Raises:
        ConfigError, ValueError: as `members.check`.
    """
    members.check({path: size for path, size in sizes.items() if path not in LIMITS})
    members.check_clashes([MANIFEST, *sizes])


def _manifest(digests: Mapping[str, Digest], *, created: str | None) -> bytes:
    listed = {path: _File(sha256=digest.sha256, size=digest.size) for path, digest in digests.items()}
    manifest = _Manifest(format=FORMAT, polymodal=__version__, created=created, files=listed)
    data = strict_json.dump(manifest.model_dump())
    if len(data) > MANIFEST_LIMIT:
        raise BundleError(f"Cannot save: {len(digests)} files are too many for {MANIFEST}.")
    return data


def _read_manifest(source: str, data: bytes) -> _Manifest:
    _refuse_pickle(source, MANIFEST, data)
    with refusing(f"{source}: {MANIFEST}"):
        values = strict_json.parse(data)
        if isinstance(values, dict) and isinstance(version := values.get("format"), int) and version > FORMAT:
            # Before anything else is looked at: a newer manifest may have other keys.
            raise NewerBundleError(
                f"{source} is in format {version}, written by Polymodal {str(values.get('polymodal'))[:40]!r}; this is "
                f"Polymodal {__version__}, which reads formats up to {FORMAT}. Update with: pip install --upgrade "
                "polymodal"
            )
        manifest = _Manifest.model_validate(values)
        if manifest.format < 1:
            raise ValueError(f"there is no format {manifest.format}")
        if not manifest.files.keys() >= LIMITS.keys():
            raise ValueError(f"lists the files {sorted(manifest.files)}; a bundle holds {sorted(LIMITS)}")
        sizes = {path: manifest.files[path].size for path in _order(manifest.files)}
        if any(not 0 <= size <= LIMITS.get(path, size) for path, size in sizes.items()):
            raise ValueError("a file has an impossible size")
        _check_members(sizes)
    return manifest.model_copy(update={"files": {path: manifest.files[path] for path in sizes}})


def _listing(folder: Path) -> dict[str, bool]:
    """By path, whether it is a regular file; a folder is given by what is in it, and one within a folder is not."""
    found: dict[str, bool] = {}
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink() and entry.name not in (MANIFEST, *LIMITS):
            inside = {f"{entry.name}/{path.name}": _is_regular(path) for path in entry.iterdir()}
            found |= inside or {f"{entry.name}/": True}
        else:
            found[entry.name] = _is_regular(entry)
    return found


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _read_file(source: str, folder: Path, path: str, saved: _File | None) -> bytes:
    with (folder / path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        limit = LIMITS.get(path, size) if saved else MANIFEST_LIMIT
        if size > limit:
            raise DamagedBundleError(f"{source}: {path!r} has {size} bytes; the limit is {limit}.")
        if saved and size != saved.size:
            raise DamagedBundleError(f"{source}: {path!r} has {size} bytes; {saved.size} were saved.")
        return file.read(size)


def _refuse_pickle(source: str, name: str, head: bytes) -> None:
    """Says by name what a reader of pickles would run. Safetensors may start alike, but a brace follows at byte 8."""
    if head.startswith(_PICKLES) and head[8:9] != b"{":
        raise DamagedBundleError(f"{source}: {name!r} is a pickle or a zip; it is not opened.")


def _compare(source: str, path: str, content: bytes, saved: _File) -> None:
    _refuse_pickle(source, path, content)
    if streams.digest_of(content).sha256 != saved.sha256:
        raise DamagedBundleError(f"{source}: {path!r} was changed after it was saved: its sha256 differs.")


def _refuse_to_overwrite(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BundleError(f"Cannot save the bundle {folder}: a file is there. Choose another folder.")
    present = _listing(folder)
    if present and not (MANIFEST in present and present.keys() <= {MANIFEST, *LIMITS, *_listed(folder)}):
        raise BundleError(f"Cannot save the bundle {folder}: the folder holds other files. Choose another folder.")


def _listed(folder: Path) -> set[str]:
    """The files that a manifest names, whatever else is wrong with it."""
    with (folder / MANIFEST).open("rb") as file:
        try:
            manifest = strict_json.parse(file.read(MANIFEST_LIMIT))
        except ValueError:
            return set()
    files = manifest.get("files") if isinstance(manifest, dict) else None
    return set(files) if isinstance(files, dict) else set()
