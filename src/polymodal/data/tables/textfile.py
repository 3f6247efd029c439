"""Opens the text of a table: compressed or not, in UTF-8 or another encoding, within a limit on its size."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from polymodal.codecs import sniffing as formats
from polymodal.errors import TableError

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")

_STARTS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_DECOMPRESSED: dict[str, Callable[[Path], io.BufferedIOBase]] = {
    "gzip": gzip.GzipFile,
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zstd": lambda path: pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"),
}
_MARKS = (  # the longer first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf_32"),
    (codecs.BOM_UTF32_BE, "utf_32"),
    (codecs.BOM_UTF8, "utf_8_sig"),
    (codecs.BOM_UTF16_LE, "utf_16"),
    (codecs.BOM_UTF16_BE, "utf_16"),
)
_UTF_8 = "utf_8"
_END_MARK = b"\x1a"
_BLOCK = 1 << 20  # bytes that are looked at together
# Text seldom shrinks to less than a hundredth; a file that would grow beyond both of these is made to fill memory.
_MOST_BYTES = 1 << 30
_MOST_GROWTH = 200
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException)
_UNDECODED = re.compile("[\udc00-\udcff]")  # what bytes become that the encoding does not have


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """As `surrogateescape`, but of any byte: in UTF-16 those below 128, too, can be wrong."""
    assert isinstance(error, UnicodeDecodeError), "registered for decoding alone"
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


_ESCAPED = "polymodal_escaped"
codecs.register_error(_ESCAPED, _escaped)


@dataclass(frozen=True)
class TextFile:
    """A file of text.

    Attributes:
        encoding: in Python's spelling.
        compression: `gzip`, `bzip2`, `xz`, `zstd` or None.
        size: bytes of the text, decompressed.
        end_mark: whether a Ctrl-Z, which is no content, ends it.
    """

    path: Path
    encoding: str
    compression: str | None
    size: int
    end_mark: bool = False

    def open_bytes(self) -> io.BufferedReader:
        """The bytes of the text, decompressed and in their encoding, less the end mark of old systems (Ctrl-Z)."""
        if not self.end_mark:
            return _opened(self.path, self.compression)
        with _opened(self.path, self.compression) as file:  # such files are small
            return io.BufferedReader(io.BytesIO(file.read().rstrip(_END_MARK)))

    def open(self, *, newline: str = "") -> io.TextIOWrapper:
        """The text without a byte order mark; line ends as they are; bytes that cannot be decoded become surrogates."""
        return io.TextIOWrapper(self.open_bytes(), encoding=self.encoding, errors=_ESCAPED, newline=newline)

    def undecodable(self) -> str | None:
        """What is wrong with the first line that is not in the file's encoding; None where all are."""
        with self.open() as file:
            for number, line in enumerate(file, 1):
                if (reason := self.reason(line, number)) is not None:
                    return reason
        return None

    def reason(self, line: str, number: int) -> str | None:
        """What is wrong with a line that `open` gave; None where it could be decoded."""
        if line.isascii() or (found := _UNDECODED.search(line)) is None:
            return None
        where = f"{self.path}, line {number}"
        if self.encoding not in (_UTF_8, "utf_8_sig"):
            name = self.encoding.replace("_", "-").removesuffix("-sig")
            return f"{where}: character {found.start() + 1} is not {name}. Set table.encoding to the file's encoding."
        byte = len(line[: found.start()].encode()) + 1
        shown = line.strip().encode(errors="surrogateescape").decode("cp1252", "replace")
        shown = shown[max(0, byte - 20) :][:40]
        return (
            f"{where}: byte {byte} is not UTF-8. Read as cp1252 the line would be {shown!r}: if that is right, set "
            "table.encoding=cp1252, else another encoding; or save the file as UTF-8 (iconv -f cp1252 -t utf-8)."
        )


def open_text(path: Path, encoding: str | None) -> TextFile:
    """Finds out how a file of text is compressed and encoded: by its first bytes, not by its name.

    Args:
        path: an existing file.
        encoding: of text that has no byte order mark and is not UTF-8.

    Raises:
        TableError: no text at all; damaged, or larger than is let in, when decompressed.
    """
    with path.open("rb") as file:
        start = file.read(formats.HEAD)
    compression = next((name for magic, name in _STARTS.items() if start.startswith(magic)), None)
    size = path.stat().st_size if compression is None else _measure(path, compression)
    with _opened(path, compression) as file:
        head = file.read(formats.HEAD)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked is None:
        _refuse_binary(path, head)
        if encoding is None:
            _refuse_unmarked_utf16(path, head)
        elif not _is_beyond_ascii(path, compression):
            marked = encoding
    return TextFile(path, marked or _UTF_8, compression, size, _has_end_mark(path, compression))


def _has_end_mark(path: Path, compression: str | None) -> bool:
    """Whether the last byte is Ctrl-Z; of what is compressed that is not looked for."""
    if compression is not None:
        return False
    with path.open("rb") as file:
        if not file.seek(0, io.SEEK_END):
            return False
        file.seek(-1, io.SEEK_END)
        return file.read(1) == _END_MARK


def _is_beyond_ascii(path: Path, compression: str | None) -> bool:
    """Whether the file is UTF-8 for certain: chance does not make valid sequences of several bytes."""
    decoder, beyond = codecs.getincrementaldecoder(_UTF_8)(), False
    try:
        with _opened(path, compression) as file:
            for block in _blocks(file):
                beyond |= not block.isascii()
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return beyond


def _refuse_binary(path: Path, head: bytes) -> None:
    found = formats.sniff(head)
    if found is not None and found.family not in ("document", "playlist"):
        raise TableError(f"{path} is no text: it looks like {found.name}. Give the file the ending of what it is.")
    if found is not None and found.name in ("HTML", "XML", "PDF", "PostScript", "a Git LFS pointer"):
        raise TableError(f"{path} is no table: it looks like {found.name}. Get the file itself.")


def _refuse_unmarked_utf16(path: Path, head: bytes) -> None:
    """It is valid UTF-8, too: every second character would be NUL."""
    first, second = head[::2].count(0), head[1::2].count(0)
    if max(first, second) > len(head) // 4:
        order = "be" if first > second else "le"
        raise TableError(
            f"{path}, line 1: every second byte is NUL, as in UTF-16 without a byte order mark. If it is that, set "
            f"table.encoding=utf-16-{order}; or save the file as UTF-8 (iconv -f utf-16{order} -t utf-8)."
        )


def _opened(path: Path, compression: str | None) -> io.BufferedReader:
    return path.open("rb") if compression is None else io.BufferedReader(_DECOMPRESSED[compression](path))


def _measure(path: Path, compression: str) -> int:
    """Bytes when decompressed, counted without holding them.

    Raises:
        TableError: damaged, cut short, or too many.
    """
    most, size = max(_MOST_BYTES, _MOST_GROWTH * path.stat().st_size), 0
    try:
        with _opened(path, compression) as file:
            for block in _blocks(file):
                size += len(block)
                if size > most:
                    raise TableError(
                        f"{path}: more than {most:,} bytes when decompressed, from {path.stat().st_size:,}. "
                        "If that is right, decompress the file first."
                    )
    except _DAMAGE as error:
        raise TableError(f"{path}: damaged {compression} file: {error}. Get the file again.") from error
    return size


def _blocks(file: io.BufferedIOBase) -> Iterator[bytes]:
    return iter(partial(file.read, _BLOCK), b"")
