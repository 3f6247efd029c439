"""Word vectors from the files that GloVe, word2vec and fastText write: those of some words, the rest is passed over.

    GloVe                 text: a line `word x1 ... xD` for each word
    word2vec, fastText    text: the same after a first line `N D`; lines may end in a blank
    word2vec, binary      the line `N D`, then for each word its name, a blank and D float32, little-endian; a line feed
                          may come before a name

A vector of 300 numbers is some 2 kB of text, and files hold millions: nothing but the wanted words is ever kept.
"""

from __future__ import annotations

import mmap
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from polymodal.errors import ConfigError

LONGEST_WORD = 2_000  # bytes
LARGEST_WIDTH = 10_000
_LONGEST_LINE = LONGEST_WORD + 32 * LARGEST_WIDTH
_HEADER = re.compile(rb"([0-9]{1,12}) ([0-9]{1,6})[ \t]*\r?\n")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LARGEST = 1e6  # of any vector that was ever published the numbers are below 100
_OTHERS = {b"PK\x03\x04": "a ZIP archive", b"\x1f\x8b": "packed with gzip", b"\x80": "a pickle"}

_Record = tuple[bytes, bytes, str]  # name, numbers as they are written, where they stand


@dataclass(frozen=True)
class WordVectors:
    """Vectors of those words that a file has.

    Attributes:
        words: places in the list that was asked for.
        values: row k is the vector of `words[k]`.
    """

    words: list[int]
    values: Float32[np.ndarray, "N D"]

    @property
    def width(self) -> int:
        return int(self.values.shape[1])


def read(path: Path, words: Sequence[str]) -> WordVectors:
    """The vectors of the words that the file has; of a word that comes twice, the first.

    Raises:
        ConfigError: no such file, another format, cut short or damaged; says in which line or at which byte.
    """
    if not path.is_file():  # nor a pipe, which would be waited for
        raise ConfigError(f"There is no file of word vectors {path}.")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(str(path), data, words)
    except OSError as error:
        raise ConfigError(f"Cannot read the word vectors {path}: {error.strerror or error}.") from error
    except ValueError as error:  # mmap's for no bytes at all
        raise ConfigError(f"{path} holds no word vectors: the file is empty.") from error


def _read(source: str, data: mmap.mmap, words: Sequence[str]) -> WordVectors:
    for magic, other in _OTHERS.items():
        if data[: len(magic)] == magic:
            raise ConfigError(f"{source} is {other}, not a file of word vectors; unpack it first.")
    header = _HEADER.match(data[:64])
    if header is None:
        start, count, width = 0, None, _width_of_text(source, data)
    else:
        start, count, width = header.end(), int(header[1]), int(header[2])
        if not 1 <= width <= LARGEST_WIDTH:
            raise ConfigError(f"{source}, line 1: vectors of {width} numbers; 1 to {LARGEST_WIDTH} are possible.")
        if count * (2 * width + 1) > len(data):  # in text a number has at least a digit and a blank, in binary 4 bytes
            raise ConfigError(f"{source}: line 1 announces {count} vectors of {width} numbers, for which its "
                              f"{len(data)} bytes are too few: it is cut short.")  # fmt: skip
    binary = header is not None and not _is_text(data, start, width)
    records = _binary(source, data, start, width) if binary else _text(source, data, start, width)
    places = {word.encode(): place for place, word in enumerate(words)}
    found: dict[int, np.ndarray] = {}
    total = 0
    for name, numbers, where in records:
        total += 1
        place = places.get(name)
        if place is not None and place not in found:
            found[place] = _numbers(numbers, width, binary=binary, where=where)
    if count is not None and total != count:
        raise ConfigError(f"{source}: line 1 announces {count} vectors, it holds {total}.")
    values = np.stack(list(found.values())) if found else np.zeros((0, width), dtype=np.float32)
    return WordVectors(list(found), values)


def _width_of_text(source: str, data: mmap.mmap) -> int:
    """How many numbers the first line holds after its word."""
    line = data[: _end(source, data, 0, 1)]
    width = len(line.split()) - 1
    if width < 1 or width > LARGEST_WIDTH or b"\0" in line:
        raise ConfigError(f"{source} is no file of word vectors: line 1 is no word with its numbers. "
                          "Known are the text files of GloVe, and text and binary files of word2vec.")  # fmt: skip
    return width


def _is_text(data: mmap.mmap, start: int, width: int) -> bool:
    """Whether where the first vector stands there are characters: as float32 some byte of it would be none."""
    blank = data.find(b" ", start, start + LONGEST_WORD + 1)
    window = data[blank + 1 : blank + 1 + 4 * width]
    try:
        text = getincrementaldecoder("utf-8")().decode(window)  # which lets a character be cut by the window's end
    except UnicodeDecodeError:
        return False
    return _CONTROL.search(text) is None


def _text(source: str, data: mmap.mmap, start: int, width: int) -> Iterator[_Record]:
    number = 1 if start == 0 else 2
    while start < len(data):
        end = _end(source, data, start, number)
        line = data[start:end].rstrip(b" \t\r")
        name, whole, numbers = _split_line(line, width)
        if not whole:
            raise ConfigError(f"{source}, line {number}: {len(line.split(b' '))} fields; expected a word and {width} "
                              f"numbers. Is the file cut short?")  # fmt: skip
        yield name, numbers, f"{source}, line {number}"
        start, number = end + 1, number + 1


def _split_line(line: bytes, width: int) -> tuple[bytes, bool, bytes]:
    """The word, whether there are numbers enough behind it, and these: a word may itself hold blanks."""
    if line.count(b" ") == width:
        name, _, numbers = line.partition(b" ")
        return name, True, numbers
    fields = line.rsplit(b" ", width)
    return fields[0], len(fields) == width + 1, b" ".join(fields[1:])


def _end(source: str, data: mmap.mmap, start: int, number: int) -> int:
    """Where a line ends."""
    end = data.find(b"\n", start, start + _LONGEST_LINE)
    if end < 0 and len(data) - start > _LONGEST_LINE:
        raise ConfigError(f"{source}, line {number}: it has more than {_LONGEST_LINE} bytes, which no vector has.")
    return end if end >= 0 else len(data)


def _binary(source: str, data: mmap.mmap, start: int, width: int) -> Iterator[_Record]:
    while start < len(data):
        if data[start : start + 1] == b"\n":
            start += 1
            continue
        blank = data.find(b" ", start, start + LONGEST_WORD + 1)
        if blank < 0:
            raise ConfigError(f"{source}, byte {start}: no word of at most {LONGEST_WORD} bytes stands there. "
                              "The file is damaged or cut short.")  # fmt: skip
        end = blank + 1 + 4 * width
        if end > len(data):
            raise ConfigError(f"{source}, byte {blank + 1}: {len(data) - blank - 1} bytes are left of a vector of "
                              f"{4 * width}: the file is cut short.")  # fmt: skip
        yield data[start:blank], data[blank + 1 : end], f"{source}, byte {blank + 1}"
        start = end


def _numbers(written: bytes, width: int, *, binary: bool, where: str) -> Float32[np.ndarray, " D"]:
    if binary:
        values = np.frombuffer(written, dtype="<f4")
    else:
        try:
            values = np.array([float(field) for field in written.split(b" ")], dtype=np.float64)
        except ValueError as error:
            raise ConfigError(f"{where}: {str(error)[:80]}; expected {width} numbers.") from error
    if not (np.abs(values) < _LARGEST).all():  # NaN is not below anything
        raise ConfigError(f"{where}: a number is NaN, infinite or beyond {_LARGEST:g}: the file is damaged.")
    return values.astype(np.float32)
