"""Finds files that end too soon where the library that decodes them would shorten them without a word.

Pillow misses the last bytes of PNG and GIF; libsndfile the rest of WAV and Ogg; FFmpeg the rest of Matroska and GIF,
and what follows the frames of MP4 and AVI. Of all other formats the libraries themselves find it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from polymodal.codecs import sniffing as formats
from polymodal.errors import UnreadableCellError


def check_end(content: bytes, format_: formats.Format, *, first_frame: bool = False) -> None:
    """Checks that a file goes on to its end; one of a format that is not checked here passes.

    Of a GIF of which only the `first_frame` is read, what comes behind is not looked at.

    Raises:
        UnreadableCellError: cut short, or so damaged that its end cannot be found.
    """
    if format_ == formats.GIF:
        _check_gif(content, first_frame=first_frame)
    elif format_ in _CHECKS:
        _CHECKS[format_](content)


def _check_png(content: bytes) -> None:
    """The last chunk is IEND, of no bytes, and has a checksum (PNG, 5.6); Pillow finds it where pixels are missing."""
    if b"\0\0\0\0IEND" not in content[:-4]:
        raise UnreadableCellError("truncated: the PNG file ends too soon")


def _check_gif(content: bytes, *, first_frame: bool) -> None:
    """Blocks follow each other up to the trailer (GIF89a, 15 to 27); or go on behind the first frame."""
    place = 13 + _colours(content, 10)
    while place < len(content):
        kind = content[place]
        if kind == 0x2C:
            place += 11 + _colours(content, place + 9)  # descriptor, its colours, size of codes
        elif kind == 0x21:
            place += 2
        elif kind == 0x3B or first_frame:  # Pillow says what is wrong with a picture
            return
        else:
            raise UnreadableCellError("damaged GIF file: something else than a block follows a block")
        while place < len(content) and content[place]:
            place += 1 + content[place]
        place += 1
        if first_frame and kind == 0x2C and place < len(content):
            return
    raise UnreadableCellError("truncated: the GIF file ends too soon")


def _colours(content: bytes, place: int) -> int:
    """Bytes of the colour table that a byte of flags announces."""
    flags = content[place] if place < len(content) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _check_mp4(content: bytes) -> None:
    """Every box of the outermost level ends inside the file (ISO/IEC 14496-12, 4.2)."""
    place = 0
    while place + 8 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        if length == 1:
            length = int.from_bytes(content[place + 8 : place + 16], "big")
        if length == 0:  # up to the end of the file
            return
        if length < 8:
            raise UnreadableCellError(f"damaged MP4 file: a box of {length} bytes")
        place += length
    _check_place(content, place)


def _check_matroska(content: bytes) -> None:
    """Every element ends inside the file; those of unknown length are entered (RFC 8794, section 6)."""
    place = 0
    while place < len(content) and content[place]:  # zeros are padding
        place += _vint_size(content, place)  # its name
        size = _vint_size(content, place)
        length = int.from_bytes(content[place : place + size], "big") - (1 << 7 * size)
        place += size
        if length != (1 << 7 * size) - 1:
            place += length
    _check_place(content, place)


def _vint_size(content: bytes, place: int) -> int:
    """How many bytes a number of EBML takes."""
    if not content[place : place + 1].strip(b"\0"):
        raise UnreadableCellError("truncated: the file ends inside of an element's header")
    return 9 - content[place].bit_length()


def _check_avi(content: bytes) -> None:
    """Every RIFF chunk ends inside the file."""
    place = 0
    while content[place : place + 4] == b"RIFF" and place + 8 <= len(content):
        length = struct.unpack_from("<I", content, place + 4)[0]
        place += 8 + length + length % 2
    _check_place(content, place)


def _check_place(content: bytes, end: int) -> None:
    if end > len(content):
        raise UnreadableCellError(f"truncated: {len(content)} of {end} bytes are there")


def _check_wav(content: bytes) -> None:
    """The data chunk is whole; where its length is 2^32 - 1, because it was not known yet, it ends with the file."""
    place = 12
    while place + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, place)
        place += 8
        if name == b"data":
            there = len(content) - place
            if there < length != 2**32 - 1:
                raise UnreadableCellError(f"truncated: {there} of {length} bytes of sound are there")
            return
        place += length + length % 2


def _check_ogg(content: bytes) -> None:
    """The last page is whole and marked as the last one (RFC 3533, section 6)."""
    page = content.rfind(b"OggS")
    header = content[page : page + 27]
    num_segments = header[26] if len(header) == 27 else 0
    segments = content[page + 27 : page + 27 + num_segments]
    whole = len(segments) == num_segments and page + 27 + num_segments + sum(segments) <= len(content)
    if len(header) < 27 or not whole or not header[5] & 4:
        raise UnreadableCellError("truncated: the stream ends before its last page")


_CHECKS: dict[formats.Format, Callable[[bytes], None]] = {
    formats.PNG: _check_png,
    formats.MP4: _check_mp4,
    formats.MATROSKA: _check_matroska,
    formats.AVI: _check_avi,
    formats.WAV: _check_wav,
    formats.OGG: _check_ogg,
}
