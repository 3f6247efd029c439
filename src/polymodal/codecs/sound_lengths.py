"""Puts the true length into the header of a WAV, AIFF or AU whose writer could not go back to state it.

Programs that write to a pipe leave a placeholder: 0, or the largest number that fits, less a header. Such sound goes on
to the end of the file. A length that is no placeholder counts: if fewer bytes are there, the file is truncated.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from polymodal.errors import UnreadableCellError

# Largest lengths of 31 and 32 bits, and 0x7f000000, each with what programs round off or add for a header.
_PLACEHOLDERS = (range(0x7EFFFFC0, 0x7F000040), range(0x7FFFEF00, 0x80000100), range(0xFFFFEF00, 0x100000000))
_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # of one sample, by encoding
_AIFC_PLAIN = {b"NONE", b"sowt", b"twos", b"raw ", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64", b"ulaw",
               b"alaw", b"ULAW", b"ALAW"}  # fmt: skip
_CHUNK = re.compile(rb"[A-Za-z0-9_ ]{4}")  # its name
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
_LONGEST_REST, _LARGEST_REST = 1_024, 0.01  # bytes; share of the sound
_NO_LENGTH = "it does not end with a whole sample, and its header does not say how long it is"


def is_placeholder(length: int) -> bool:
    """Whether a length of 32 bits stands for "to the end of the file"; 0 may, depending on what follows.

    >>> is_placeholder(0x7FFFF000), is_placeholder(0xFFFFFFFF), is_placeholder(32_000)
    (True, True, False)
    """
    return any(length in lengths for lengths in _PLACEHOLDERS)


def completed(content: bytes) -> bytes:
    """A WAV (RIFF, RIFX, RF64, BW64), AIFF or AU with its true length; as it stands where the header states it.

    Raises:
        UnreadableCellError: truncated; or another recording follows.
    """
    mark = content[:4]
    if mark == b"FORM":
        return _aiff(content)
    if mark in {b".snd", b"dns."}:
        return _au(content, ">" if mark == b".snd" else "<")
    return _wav(content, ">" if mark == b"RIFX" else "<")


def _wav(content: bytes, order: str) -> bytes:
    wide = content[:4] in {b"RF64", b"BW64"}  # with lengths of 64 bits in a chunk of their own (EBU Tech 3306)
    block, data_size, ds64 = 1, None, None
    for name, place, length in _chunks(content, order):
        if name == b"ds64" and place + 16 <= len(content):
            ds64, data_size = place - 8, struct.unpack_from("<Q", content, place + 8)[0]
        elif name == b"fmt " and place + 14 <= len(content):
            block = struct.unpack_from(f"{order}H", content, place + 12)[0] or 1
        elif name == b"data":
            stated = data_size if wide and length == 0xFFFFFFFF and data_size is not None else length
            if stated >= 2**63 - 1:  # 0x7fff... and 0xffff... of 64 bits
                stated = 0xFFFFFFFF
            size = _size(content, place, stated, block, order)
            if (size == length and not wide) or len(content) >= 2**32:
                return content
            patched = bytearray(content)
            patched[:4] = b"RIFF" if wide else content[:4]
            if ds64 is not None:
                patched[ds64 : ds64 + 4] = b"JUNK"
            struct.pack_into(f"{order}I", patched, 4, len(content) - 8)
            struct.pack_into(f"{order}I", patched, place - 4, size)
            return bytes(patched)
    return content


def _aiff(content: bytes) -> bytes:
    """Sample frames are counted in the chunk COMM, the bytes in SSND: 8 before the first sample (AIFF 1.3, 1989)."""
    comm, plain, frame = None, False, 1
    for name, place, length in _chunks(content, ">"):
        if name == b"COMM" and place + 18 <= len(content):
            comm = place
            channels, _, bits = struct.unpack_from(">hIh", content, place)
            plain = content[8:12] == b"AIFF" or content[place + 18 : place + 22] in _AIFC_PLAIN
            frame = max(1, channels * ((bits + 7) // 8))
        elif name == b"SSND" and comm is not None:
            nothing = length == 0 or (length == 8 and not any(content[comm + 2 : comm + 6]))
            size = _size(
                content, place + 8, 0 if nothing else length - (0 if is_placeholder(length) else 8), frame, ">"
            )
            if size == length - 8:
                return content
            if not plain:
                raise UnreadableCellError("its header does not say how long it is; encode it again")
            patched = bytearray(content)
            struct.pack_into(">I", patched, 4, len(content) - 8)
            struct.pack_into(">I", patched, comm + 2, size // frame)
            struct.pack_into(">I", patched, place - 4, size + 8)
            return bytes(patched)
    return content


def _au(content: bytes, order: str) -> bytes:
    if len(content) < 24:
        return content
    start, length, encoding, _, channels = struct.unpack_from(f"{order}5I", content, 4)
    there = len(content) - start
    size = there if length == 0 else length
    if length == 0 or is_placeholder(length):
        size = there
        if there % max(1, _AU_BYTES.get(encoding, 1) * channels):
            raise UnreadableCellError(f"truncated: {_NO_LENGTH}")
    elif there < length:
        raise UnreadableCellError(f"truncated: {max(0, there)} of {length} bytes of sound are there")
    else:
        _check_rest(content, start + length, length)
    if size == length or not 0 < size < 2**32:
        return content
    return content[:8] + struct.pack(f"{order}I", size) + content[12:]


def _size(content: bytes, place: int, stated: int, block: int, order: str) -> int:
    """Bytes of sound from a place on, of which so many are stated."""
    there = max(0, len(content) - place)
    if (is_placeholder(stated) and there < stated) or (stated == 0 and not _are_chunks(content, place, order)):
        if there % block:
            raise UnreadableCellError(f"truncated: {_NO_LENGTH}")
        return there
    if there < stated:
        raise UnreadableCellError(f"truncated: {there} of {stated} bytes of sound are there")
    after = place + stated + stated % 2
    if content[after : after + 4] in {b"RIFF", b"RIFX", b"FORM"} and content[after + 8 : after + 12] == content[8:12]:
        raise UnreadableCellError("another recording follows its end: files were joined; only the first would be read")
    if not (_CHUNK.match(content, after) or _CHUNK.match(content, place + stated)):
        _check_rest(content, place + stated, stated)
    return stated


def _check_rest(content: bytes, place: int, stated: int) -> None:
    """Refuses a file in which more follows the sound than tags and padding, for it may be sound."""
    rest = len(content) - place
    tag = content.startswith(_TAGS, place) or not content[place:].strip(b"\0")
    if rest > _LONGEST_REST and rest > _LARGEST_REST * stated and not tag:
        raise UnreadableCellError(
            f"damaged: its header states {stated} of {stated + rest} bytes of sound; encode it again"
        )


def _chunks(content: bytes, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, place of the content, and stated length of the chunks of an IFF or RIFF file."""
    place = 12
    while place + 8 <= len(content):
        name, length = struct.unpack_from(f"{order}4sI", content, place)
        yield name, place + 8, length
        place += 8 + length + length % 2


def _are_chunks(content: bytes, place: int, order: str) -> bool:
    """Whether nothing but whole chunks follows up to the end, so that a length of 0 is meant."""
    while place + 8 <= len(content):
        length = struct.unpack_from(f"{order}I", content, place + 4)[0]
        place += 8 + length + length % 2
    return place in {len(content), len(content) + 1}
