"""Takes a chained Ogg stream apart: of recordings that follow each other libsndfile reads the first alone."""

from __future__ import annotations

from polymodal.errors import UnreadableCellError

_MOST_LINKS = 1_000
_CONTINUED, _FIRST, _LAST = 1, 2, 4  # flags of a page (RFC 3533, section 6)


def links(content: bytes) -> list[bytes]:
    """The recordings of a chained stream, each as a file of its own; of an ordinary file, that file alone.

    A link begins with the first page of a stream behind other pages than that (RFC 3533, section 4).

    Raises:
        UnreadableCellError: a link ends before its last page; there are too many.
    """
    starts, last, place, in_head, ended = [0], 0, 0, True, False
    while (place := content.find(b"OggS", place)) >= 0:
        flags = content[place + 5] if place + 5 < len(content) else 0
        if flags & _FIRST and not in_head:
            if not ended:
                raise UnreadableCellError(f"truncated: part {len(starts)} of the stream ends before its last page")
            starts.append(place)
            if len(starts) > _MOST_LINKS:
                raise UnreadableCellError(f"too many parts: more than {_MOST_LINKS:,} recordings in one stream")
        in_head = bool(flags & _FIRST)
        last, ended = place, bool(flags & _LAST)
        place += _page_size(content, place)
    if not ended or last + _page_size(content, last) > len(content):
        raise UnreadableCellError("truncated: the stream ends before its last page")
    ends = [*starts[1:], len(content)]
    return [content] if len(starts) == 1 else [content[start:end] for start, end in zip(starts, ends, strict=True)]


def is_plain(content: bytes) -> bool:
    """Whether it is sound that libsndfile reads: Vorbis or Opus; not FLAC, Speex, or sound beside pictures."""
    packet = content[28:36]
    return packet.startswith((b"\x01vorbis", b"OpusHead"))


def _page_size(content: bytes, place: int) -> int:
    """Bytes from the start of a page to its end, which may lie behind that of the file."""
    header = content[place : place + 27]
    if len(header) < 27:
        return len(content) - place + 1
    return 27 + header[26] + sum(content[place + 27 : place + 27 + header[26]]) + _lacking(content, place, header[26])


def _lacking(content: bytes, place: int, num_segments: int) -> int:
    """Bytes of the table of segments that are not there."""
    return max(0, place + 27 + num_segments - len(content))
