"""Gives FLAC the length that its header lacks: an encoder that writes into a pipe cannot go back and put it there."""

from __future__ import annotations

from polymodal.errors import UnreadableCellError

_STREAMINFO = 8  # where the first metadata block's content begins (RFC 9639, section 8.2)
_TOTAL = slice(_STREAMINFO + 10, _STREAMINFO + 18)  # 64 bits, the last 36 of which are the number of samples
_TOTAL_BITS = (1 << 36) - 1
_LONGEST_FRAME = 1 << 20  # bytes; where STREAMINFO does not say
_ID3V1 = 128  # bytes of a tag that some programs put behind the last frame


def with_length(content: bytes) -> bytes:
    """The same file with its number of samples in the header; any other content as it is.

    The number comes from the last frame, whose checksums also say that the file is whole.

    Raises:
        UnreadableCellError: the file does not end with a whole frame.
    """
    if not content.startswith(b"fLaC") or len(content) < _TOTAL.stop:
        return content
    fields = int.from_bytes(content[_TOTAL], "big")
    if fields & _TOTAL_BITS:
        return content
    total = _num_samples(content)
    return content[: _TOTAL.start] + (fields | total).to_bytes(8, "big") + content[_TOTAL.stop :]


def _num_samples(content: bytes) -> int:
    end = len(content) - (_ID3V1 if content[-_ID3V1:].startswith(b"TAG") else 0)
    longest = int.from_bytes(content[_STREAMINFO + 7 : _STREAMINFO + 10], "big") or _LONGEST_FRAME
    first = max(_TOTAL.stop, end - longest)
    place = end
    while (place := content.rfind(b"\xff", first, place)) >= 0:
        samples = _end_of_frame(content[place:end], int.from_bytes(content[_STREAMINFO : _STREAMINFO + 2], "big"))
        if samples is not None and _crc(content[place:end], _CRC_16, 16) == 0:
            return samples
    raise UnreadableCellError(
        "truncated: it does not end with a whole frame, and its header does not say how long it is"
    )


def _end_of_frame(frame: bytes, block: int) -> int | None:
    """The number of the first sample behind a frame; None where there is no header of one (RFC 9639, section 9.1).

    Args:
        frame: from its sync code on.
        block: samples of every frame but the last, where all are equal.
    """
    if len(frame) < 8 or frame[1] & 0xFE != 0xF8 or frame[3] & 1:
        return None
    coded = _coded_number(frame[4:11])
    if coded is None:
        return None
    number, place = coded[0], 4 + coded[1]
    size, rate = frame[2] >> 4, frame[2] & 15
    more = {6: 1, 7: 2}.get(size, 0)
    if size == 0:
        return None
    if more:
        samples = int.from_bytes(frame[place : place + more], "big") + 1
    else:
        samples = 192 if size == 1 else 576 << size - 2 if size < 6 else 256 << size - 8
    place += more + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if _crc(frame[: place + 1], _CRC_8, 8) != 0:
        return None
    return (number if frame[1] & 1 else number * block) + samples


def _coded_number(content: bytes) -> tuple[int, int] | None:
    """A number as UTF-8 codes characters, of up to 36 bits, and how many bytes it takes."""
    first = content[0]
    ones = 8 - (first ^ 0xFF).bit_length()
    if ones == 0:
        return first, 1
    if ones in {1, 8} or len(content) < ones:
        return None
    number = first & (1 << 7 - ones) - 1
    for byte in content[1:ones]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    return number, ones


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    """The remainder of every byte, the highest bit first."""
    top, mask, table = 1 << bits - 1, (1 << bits) - 1, []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
        table.append(value)
    return tuple(table)


def _crc(content: bytes, table: tuple[int, ...], bits: int) -> int:
    """0 where content ends with its own checksum."""
    value, mask = 0, (1 << bits) - 1
    for byte in content:
        value = (value << 8 ^ table[value >> bits - 8 ^ byte]) & mask
    return value


_CRC_8 = _table(0x07, 8)
_CRC_16 = _table(0x8005, 16)
