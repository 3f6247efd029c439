"""The files of a bundle as bytes: sealed by a manifest, in one folder or in one string of bytes.

What the files mean is the business of `bundle`; here it is their names, sizes and hashes. Hashes find damage, not
malice: whoever alters a file can alter the manifest, so `bundle` checks the content as well.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, StrictInt, ValidationError

from polymodal import __version__
from polymodal.errors import BundleError, ConfigError, DamagedBundleError, NewerBundleError
from polymodal.files import strict_json
from polymodal.files.atomic import write_folder
from polymodal.schema import Record

FORMAT = 1
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
        files: content by name, without the manifest.
    """

    source: str
    format: int
    files: dict[str, bytearray]


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


def write(folder: Path, files: Mapping[str, bytes]) -> int:
    """Writes the files and their manifest as a folder, atomically, in place of a bundle that may be there.

    Returns:
        Bytes written.

    Raises:
        BundleError: the folder holds something else than a bundle, a file is too large, or the disk refuses.
    """
    folder = folder.resolve()  # a link keeps pointing: what it points to is replaced
    sealed = {MANIFEST: _manifest(files, created=datetime.now(UTC).isoformat(timespec="seconds")), **files}
    try:
        _refuse_to_overwrite(folder)
        write_folder(folder, sealed)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BundleError(f"Cannot save the bundle {folder}: {reason}. What was there before is unchanged.") from error
    return sum(map(len, sealed.values()))


def read(folder: Path) -> Sealed:
    """The files of a bundle's folder, checked against its manifest.

    Raises:
        BundleError: no bundle is there, or it cannot be read.
        DamagedBundleError: a file is missing, too many, a link, too large, a pickle, or not what the manifest says.
        NewerBundleError: written in a newer format.
    """
    source = f"Bundle {folder}"
    try:
        present = {path.name for path in folder.iterdir()}
        if MANIFEST not in present:
            inside = f" Did you mean {folder / 'bundle'}?" if (folder / "bundle" / MANIFEST).is_file() else ""
            raise BundleError(f"{folder} is not a bundle: it holds no {MANIFEST}.{inside}")
        manifest = _read_manifest(source, _read_file(source, folder / MANIFEST, MANIFEST_LIMIT))
        if odd := present ^ {MANIFEST, *LIMITS}:
            flaws = (f"{name!r} {'does not belong there' if name in present else 'is missing'}" for name in sorted(odd))
            raise DamagedBundleError(f"{source}: {', '.join(flaws)}.")
        files = {name: _read_file(source, folder / name, limit) for name, limit in LIMITS.items()}
    except OSError as error:
        raise BundleError(f"Cannot read the bundle {folder}: {error.strerror or error}.") from error
    return _sealed(source, manifest, files)


def pack(files: Mapping[str, bytes]) -> bytes:
    """The files in one string of bytes, the same for the same files: magic, length of the manifest, manifest, files.

    Raises:
        BundleError: a file is too large.
    """
    manifest = _manifest(files, created=None)
    return b"".join([_MAGIC, len(manifest).to_bytes(8, "little"), manifest, *(files[name] for name in LIMITS)])


def unpack(data: bytes) -> Sealed:
    """The files of bytes that `pack` made.

    Raises:
        DamagedBundleError, NewerBundleError: as `read`.
    """
    source = "Bundle in memory"
    rest = memoryview(data)
    start = len(_MAGIC) + 8
    length = int.from_bytes(rest[len(_MAGIC) : start], "little")
    if rest[: len(_MAGIC)] != _MAGIC or length > MANIFEST_LIMIT:
        raise DamagedBundleError(f"{source}: it does not start as one.")
    manifest = _read_manifest(source, bytearray(rest[start : start + length]))
    rest = rest[start + length :]
    if len(rest) != sum(file.size for file in manifest.files.values()):
        raise DamagedBundleError(f"{source}: it is cut short, or more follows it.")
    files: dict[str, bytearray] = {}
    for name in LIMITS:
        size = manifest.files[name].size
        files[name], rest = bytearray(rest[:size]), rest[size:]
        _refuse_pickle(source, name, files[name])
    return _sealed(source, manifest, files)


def _manifest(files: Mapping[str, bytes], *, created: str | None) -> bytes:
    for name, limit in LIMITS.items():
        if len(files[name]) > limit:
            raise BundleError(f"Cannot save: {name} would have {len(files[name])} bytes; the limit is {limit}.")
    listed = {name: _File(sha256=hashlib.sha256(files[name]).hexdigest(), size=len(files[name])) for name in LIMITS}
    manifest = _Manifest(format=FORMAT, polymodal=__version__, created=created, files=listed)
    return strict_json.dump(manifest.model_dump())


def _read_manifest(source: str, data: bytearray) -> _Manifest:
    with refusing(f"{source}: {MANIFEST}"):
        values = strict_json.parse(data)
        if isinstance(values, dict):
            _refuse_newer(source, values.get("format"), values.get("polymodal"))
        manifest = _Manifest.model_validate(values)
        if manifest.format < 1:
            raise ValueError(f"there is no format {manifest.format}")
        if manifest.files.keys() != LIMITS.keys():
            raise ValueError(f"lists the files {sorted(manifest.files)}; a bundle holds {sorted(LIMITS)}")
        if any(not 0 <= file.size <= LIMITS[name] for name, file in manifest.files.items()):
            raise ValueError("a file has an impossible size")
    return manifest


def _refuse_newer(source: str, version: object, writer: object) -> None:
    """Before anything else in a manifest is looked at: a newer one may have other keys."""
    if isinstance(version, int) and version > FORMAT:
        raise NewerBundleError(
            f"{source} is in format {version}, written by Polymodal {str(writer)[:40]!r}; this is Polymodal "
            f"{__version__}, which reads formats up to {FORMAT}. Update with: pip install --upgrade polymodal"
        )


def _read_file(source: str, path: Path, limit: int) -> bytearray:
    if path.is_symlink() or not path.is_file():
        raise DamagedBundleError(f"{source}: {path.name!r} is not a regular file.")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise DamagedBundleError(f"{source}: {path.name!r} has {size} bytes; the limit is {limit}.")
        _refuse_pickle(source, path.name, file.peek(16))
        data = bytearray(size)
        file.readinto(data)  # a file that shrinks meanwhile leaves zeros, which its hash does not allow
    return data


def _refuse_pickle(source: str, name: str, head: bytes | bytearray) -> None:
    """Says by name what a reader of pickles would run. Safetensors may start alike, but a brace follows at byte 8."""
    if head.startswith(_PICKLES) and head[8:9] != b"{":
        raise DamagedBundleError(f"{source}: {name!r} is a pickle or a zip; it is not opened.")


def _sealed(source: str, manifest: _Manifest, files: dict[str, bytearray]) -> Sealed:
    for name, file in manifest.files.items():
        if len(files[name]) != file.size:
            raise DamagedBundleError(f"{source}: {name!r} has {len(files[name])} bytes; {file.size} were saved.")
        if hashlib.sha256(files[name]).hexdigest() != file.sha256:
            raise DamagedBundleError(f"{source}: {name!r} was changed after it was saved: its sha256 differs.")
    return Sealed(source, manifest.format, files)


def _refuse_to_overwrite(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BundleError(f"Cannot save the bundle {folder}: a file is there. Choose another folder.")
    present = {path.name for path in folder.iterdir()}
    if present and not (MANIFEST in present and present <= {MANIFEST, *LIMITS}):
        raise BundleError(f"Cannot save the bundle {folder}: the folder holds other files. Choose another folder.")
