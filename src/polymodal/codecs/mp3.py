"""Counts the frames of an MP3 without an index; a decoder would guess their number by the first bit rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from polymodal.errors import UnreadableCellError

# ISO/IEC 11172-3, 2.4.2.3, and ISO/IEC 13818-3: layer III, version 1 and its halves and quarters of the sample rate
_KBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES = (44_100, 48_000, 32_000)
_HALVINGS = {3: 0, 2: 1, 0: 2}  # of the sample rate, by version
_SAME = 0xFFFE0C00  # bits of a header that all frames of a file share: sync word, version, layer and sample rate
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"3DI")  # what may follow the last frame
_FEW = 4  # frames, by which an index may be wrong
_JOINED = "several MP3 files joined into one, of which only the first would be read"
_FARTHEST = 1 << 16  # bytes between a tag and the first frame


@dataclass(frozen=True)
class _Frame:
    """What a frame's header says."""

    header: int
    length: int
    side_information: int
    samples: int


@dataclass(frozen=True)
class CountedFrames:
    """The frames of an MP3 that has no index.

    Attributes:
        num_samples: of one channel, that all frames together decode to.
        end: bytes up to the end of the last frame.
        silence: a further frame that decodes to silence.
    """

    num_samples: int
    end: int
    silence: bytes

    def lengthened(self, content: bytes, guess: int) -> bytes:
        """The file followed by silence, so that the guess of a decoder, so many samples, becomes large enough."""
        share = max(0.0, self.num_samples / max(1, guess) - 1)
        return content[: self.end] + self.silence * (2 + math.ceil(share * self.end / len(self.silence)))


def count_frames(content: bytes) -> CountedFrames | None:
    """Counts the frames of an MP3 up to the end of the file, which must be that of a frame, or of tags behind one.

    None where an index tells how many there are, or where the first frame is not found: a decoder may say more.

    Raises:
        UnreadableCellError: the last frame is cut short, or something else than a frame follows a frame.
    """
    place = _first_frame(content)
    if place is None:  # of free format, or damaged
        return None
    first = _frame(content, place)
    assert first is not None
    index = content[place + 4 + first.side_information :][:12]
    says = index[:4] in {b"Xing", b"Info"}
    if says and index[7:8] and index[7] & 1 and any(index[8:12]):
        _check_indexed(content, place, first, int.from_bytes(index[8:12], "big"))
        return None
    if says or content[place + 36 :][:4] == b"VBRI":  # an index without the number, or of a kind that is not known
        place += first.length
    count, end = _count(content, place, first)
    _check_behind(content, end)
    return CountedFrames(count * first.samples, end, _silence(first))


def _first_frame(content: bytes) -> int | None:
    """Where the first frame begins that another one follows, behind tags; None where there is none nearby."""
    place = 0
    while content[place : place + 3] == b"ID3" and len(content) >= place + 10:
        size = 0
        for byte in content[place + 6 : place + 10]:
            size = size << 7 | byte & 127
        place += 10 + size
    for start in range(place, min(place + _FARTHEST, len(content) - 4)):
        if content[start] == 0xFF and (frame := _frame(content, start)) is not None:
            after = start + frame.length
            if after >= len(content) or _is_tag(content, after) or _follows(content, after, frame):
                return start
    return None


def _count(content: bytes, place: int, first: _Frame) -> tuple[int, int]:
    """The number of frames from a place on, and where the last one ends."""
    count = 0
    while place < len(content) and not _is_tag(content, place):
        frame = _frame(content, place)
        if frame is None or frame.header & _SAME != first.header & _SAME:
            if len(content) - place < 4:
                break
            raise UnreadableCellError("damaged MP3 file: something else than a frame follows a frame")
        place += frame.length
        count += 1
    if len(content) < place or 0 < len(content) - place < 4:
        raise UnreadableCellError("truncated: the last frame of the MP3 file is cut short")
    return count, place


def _run(content: bytes, place: int, first: _Frame) -> tuple[int, int]:
    """The number of frames that follow each other from a place on, and where the last one ends."""
    count = 0
    while (frame := _frame(content, place)) is not None and frame.header & _SAME == first.header & _SAME:
        place += frame.length
        count += 1
    return count, place


def _check_indexed(content: bytes, place: int, first: _Frame, stated: int) -> None:
    """By its index a decoder leaves out what lies behind."""
    count, end = _run(content, place, first)
    if count - 1 > stated + _FEW:  # the first holds the index
        raise UnreadableCellError(f"{_JOINED}: its index states {stated} of {count - 1} frames; encode it again")
    _check_behind(content, end)


def _check_behind(content: bytes, end: int) -> None:
    """Nothing but tags follows the last frame, no second file behind them."""
    rest = content[end:]
    if rest[:3] == b"TAG":  # of fixed length (ID3v1)
        rest = rest[128:]
    start = _first_frame(rest) if rest else None
    if start is None:
        return
    frame = _frame(rest, start)
    assert frame is not None
    if _run(rest, start, frame)[0] > _FEW:
        raise UnreadableCellError(f"{_JOINED}: sound follows the tags at its end; encode it again")


def _follows(content: bytes, place: int, frame: _Frame) -> bool:
    other = _frame(content, place)
    return other is not None and other.header & _SAME == frame.header & _SAME


def _is_tag(content: bytes, place: int) -> bool:
    """Whether tags, or nothing but zeros, begin here."""
    return content.startswith(_TAGS, place) or not content[place:].strip(b"\0")


def _frame(content: bytes, place: int) -> _Frame | None:
    """The frame of layer III at a place; None where none begins there, and for one of free format."""
    header = int.from_bytes(content[place : place + 4], "big")
    version, bits, rate = header >> 19 & 3, header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or header >> 17 & 3 != 1 or bits in {0, 15} or rate == 3:
        return None
    old = version == 3
    length = (144 if old else 72) * 1_000 * _KBITS[not old][bits] // (_RATES[rate] >> _HALVINGS[version])
    mono = header >> 6 & 3 == 3
    side = (17 if mono else 32) if old else (9 if mono else 17)
    return _Frame(header, length + (header >> 9 & 1), side, 1_152 if old else 576)


def _silence(like: _Frame) -> bytes:
    """A frame without checksum and padding, at a middle bit rate, that holds no sound."""
    frame = ((like.header | 1 << 16) & ~0xF200 | 9 << 12).to_bytes(4, "big")
    found = _frame(frame, 0)
    assert found is not None
    return frame.ljust(found.length, b"\0")
