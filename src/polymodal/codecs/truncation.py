"""Finds pictures that end too soon where Pillow does not: PNG and GIF of which only the last bytes are gone."""

from __future__ import annotations

from polymodal.codecs import sniffing as formats
from polymodal.errors import UnreadableCellError


def check_end(content: bytes, format_: formats.Format) -> None:
    """Checks that a PNG has its last chunk, and that a GIF goes on behind its first frame.

    What comes behind the first frame of an animation is not looked at, because it is not read.

    Raises:
        UnreadableCellError: cut short.
    """
    whole = {formats.PNG: _png_is_whole, formats.GIF: _gif_is_whole}.get(format_)
    if whole is not None and not whole(content):
        raise UnreadableCellError(f"truncated: the {format_.name} file ends too soon")


def _png_is_whole(content: bytes) -> bool:
    """Chunks are a length, four letters, so many bytes, and four of checksum; the last is IEND (PNG, section 5.3)."""
    place = 8
    while place + 12 <= len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        if content[place + 4 : place + 8] == b"IEND":
            return end <= len(content)
        place = end
    return False


def _gif_is_whole(content: bytes) -> bool:
    """GIF89a, sections 15 to 23: header and palette, then extensions and images in blocks, then a trailer."""
    try:
        place = 13 + _palette(content[10])
        while content[place] == 0x21:  # an extension: its label, and blocks
            place = _behind_blocks(content, place + 2)
        if content[place] != 0x2C:  # no image: Pillow will say what is wrong
            return True
        place = _behind_blocks(content, place + 11 + _palette(content[place + 9]))
    except IndexError:
        return False
    return place < len(content)


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _behind_blocks(content: bytes, place: int) -> int:
    while content[place]:
        place += 1 + content[place]
    return place + 1
