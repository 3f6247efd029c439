"""Finds files that end too soon where the library that decodes them would shorten them without a word.

Pillow misses the last bytes of PNG and GIF, and zeros in those of JPEG; FFmpeg the rest of Matroska and GIF, and what
follows the frames of MP4 and AVI. What libsndfile misses is found beside it (`sound_lengths`, `ogg`, `mp3`). Of all
other formats the libraries themselves find it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from polymodal.codecs import ogg
from polymodal.codecs import sniffing as formats
from polymodal.codecs.sound_lengths import is_placeholder
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


def _check_jpeg(content: bytes) -> None:
    """No zeros stand in the place of the end, as in a broken download; libjpeg decodes them (ITU-T T.81, B.1.1)."""
    zeros = len(content) - len(content.rstrip(b"\0"))
    if zeros >= _MANY_ZEROS and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):  # EOI, SOS
        raise UnreadableCellError(f"truncated: the last {zeros} bytes of the JPEG file are zeros")


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
    """The boxes are whole, and describe one film, for FFmpeg reads the first."""
    if _check_boxes(content).count(b"moov") > 1:
        raise UnreadableCellError("several MP4 files joined into one; only the first would be read")


def _check_boxes(content: bytes) -> list[bytes]:
    """The names of the boxes of the outermost level, each of which ends inside the file (ISO/IEC 14496-12, 4.2)."""
    place, names = 0, []
    while place + 8 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        names.append(content[place + 4 : place + 8])
        if length == 1:
            length = int.from_bytes(content[place + 8 : place + 16], "big")
        if length == 0:  # up to the end of the file
            return names
        if length < 8:
            raise UnreadableCellError(f"damaged file: a box of {length} bytes")
        place += length
    _check_place(content, place)
    rest = content[place:]
    if rest.strip(b"\0") or (rest and b"moof" in names) or names[-1:] == [b"moof"]:  # else padding
        raise UnreadableCellError("truncated: the file ends inside of a box's header, or of a fragment")
    return names


def _check_jp2(content: bytes) -> None:
    """The codestream, which the last box holds, ends with the marker EOC (ISO/IEC 15444-1, annexes A and I)."""
    if content.startswith(b"\0\0\0\x0cjP  "):
        _check_boxes(content)
    if not content.endswith(b"\xff\xd9"):
        raise UnreadableCellError("truncated: the JPEG 2000 codestream ends too soon")


def _check_ppm(content: bytes) -> None:
    """Numbers written as text end with a blank; else the last one may have lost digits."""
    if content[1:2] in b"123" and not content[-1:].isspace():
        raise UnreadableCellError("truncated: no blank follows the last number")


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
    """Every RIFF chunk ends inside the file; where its length is a placeholder, the chunks inside of it do."""
    place = 0
    while content[place : place + 4] == b"RIFF" and place + 8 <= len(content):
        length = struct.unpack_from("<I", content, place + 4)[0]
        if length == 0 or (is_placeholder(length) and length > len(content) - place - 8):
            _check_place(content, _end_of_chunks(content, place + 12))
            return
        place += 8 + length + length % 2
    _check_place(content, place)


def _end_of_chunks(content: bytes, place: int) -> int:
    """Where the chunks end that follow each other; lists, of which the length may be a placeholder, are entered."""
    while place + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, place)
        place += 12 if name == b"LIST" else 8 + length
        if name != b"LIST" and length % 2 and place < len(content):
            place += 1
    return place if place >= len(content) else len(content) + 8  # the header of a chunk is cut short


def _check_flv(content: bytes) -> None:
    """Every tag is whole, and followed by its size (Adobe FLV 10.1, E.3); a size of the file that is stated is true."""
    place = int.from_bytes(content[5:9], "big") + 4
    while place + 11 <= len(content) and content[place] in {8, 9, 18}:
        size = int.from_bytes(content[place + 1 : place + 4], "big") + 11
        if place + size + 4 > len(content):
            break
        if int.from_bytes(content[place + size : place + size + 4], "big") != size:
            raise UnreadableCellError("damaged FLV file: a tag of another size than is stated behind it")
        if content[place] == 18:
            _check_stated_size(content, content[place : place + size])
        place += size + 4
    if place != len(content):
        raise UnreadableCellError("truncated or damaged: the FLV file does not end with a whole tag")


def _check_stated_size(content: bytes, tag: bytes) -> None:
    found = tag.find(b"filesize\0")
    stated = struct.unpack_from(">d", tag, found + 9)[0] if 0 <= found <= len(tag) - 17 else 0.0
    if stated > len(content):
        raise UnreadableCellError(f"truncated: {len(content)} of {stated:.0f} bytes are there")


def _check_ogg(content: bytes) -> None:
    if len(ogg.links(content)) > 1:
        raise UnreadableCellError("several films follow each other in one Ogg file; only the first would be read")


def _check_place(content: bytes, end: int) -> None:
    if end > len(content):
        raise UnreadableCellError(f"truncated: {len(content)} of {end} bytes are there")


_MANY_ZEROS = 32  # as coded pixels do not have
_CHECKS: dict[formats.Format, Callable[[bytes], object]] = {
    formats.PNG: _check_png,
    formats.JPEG: _check_jpeg,
    formats.JP2: _check_jp2,
    formats.PPM: _check_ppm,
    formats.AVIF: _check_boxes,
    formats.HEIC: _check_boxes,
    formats.MP4: _check_mp4,
    formats.MATROSKA: _check_matroska,
    formats.AVI: _check_avi,
    formats.FLV: _check_flv,
    formats.OGG: _check_ogg,
}
