"""Tells by the first bytes of a file whether it is of one format; for some a fixed start says too little."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Callable

Signature = Callable[[bytes], bool]

# Brands of ISO media (ISO/IEC 14496-12, 4.3; 23008-12, annex B; AVIF 1.1, section 6) that are photographs.
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"heif"}
_AVIF_BRANDS = {b"avif", b"avis", b"avio"}
_STILL_BRANDS = {b"mif1", b"mif2", b"msf1", b"miaf"}  # of any coding
_MOVIES = re.compile(rb"iso[m2-9a-c]|mp4[12]|avc1|qt  |M4[VAB] |dash|3g[pse2].|f4v ")
_PPM = re.compile(rb"(P[1-6](\s+(#[^\r\n]*[\r\n])?)+[0-9]+(\s+(#[^\r\n]*[\r\n])?)+[0-9]+|P[Ff]\s+[0-9]+\s+[0-9]+)\s")


def starts(*starts: bytes) -> Signature:
    """By fixed first bytes."""
    return lambda head: head.startswith(starts)


def says(*starts: bytes) -> Signature:
    """Of text: in any case, behind a byte order mark and white space."""
    return lambda head: head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(starts)


def chunk(container: bytes, *kinds: bytes) -> Signature:
    """RIFF and IFF: four letters, a length, four letters that say what is inside."""
    return lambda head: head[:4] == container and head[8:12] in kinds


def is_wave(head: bytes) -> bool:
    """RIFF; in the other byte order RIFX; and with lengths of 64 bits RF64 or BW64."""
    return head[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"} and head[8:12] == b"WAVE"


def is_bmp(head: bytes) -> bool:
    """`BM` alone begins many a text: the length of the second header must be one that exists, too."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in {12, 40, 52, 56, 64, 108, 124}


def is_ppm(head: bytes) -> bool:
    """A letter and a digit begin many a text: width and height must follow (Netpbm: PBM, PGM, PPM, PFM)."""
    return _PPM.match(head) is not None


def is_icon(head: bytes) -> bool:
    """ICO: a number of pictures below 256, and a reserved byte that is 0."""
    return head[:4] == b"\0\0\1\0" and len(head) > 9 and head[4] > 0 and head[5] == head[9] == 0


def is_mpeg_audio(head: bytes) -> bool:
    """Frame header of ISO/IEC 11172-3, 2.4.1.3: sync word, layer III, and no reserved version, bit or sample rate."""
    return _mpeg_layer(head) == 1


def is_layer_two(head: bytes) -> bool:
    """The same of layer II, as in MP2."""
    return _mpeg_layer(head) == 2


def _mpeg_layer(head: bytes) -> int | None:
    """The two bits that name the layer; None where the first bytes are no frame header."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer, rates = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2]
    return layer if version != 1 and rates >> 4 not in {0, 15} and rates >> 2 & 3 != 3 else None


def is_adts(head: bytes) -> bool:
    """Header of ISO/IEC 13818-7, 6.2: sync word, layer 0, and a sample rate that exists."""
    return len(head) >= 4 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13


def is_transport_stream(head: bytes) -> bool:
    """MPEG-TS (ISO/IEC 13818-1, 2.4.3.2): a sync byte every 188 bytes; behind times of 4 bytes, every 192."""
    stream = any({head[place : place + 1] for place in range(first, 400, step)} == {b"G"}
                 for first, step in ((0, 188), (4, 192)))  # fmt: skip
    return stream and not is_text(head)


def is_quicktime(head: bytes) -> bool:
    """MP4 and its elders, which begin with another box than `ftyp`; of less than 16 MB, so that no text begins so."""
    return head[4:8] == b"ftyp" or (head[:1] == b"\0" and head[4:8] in {b"moov", b"mdat", b"wide", b"free", b"skip"})


def is_heic(head: bytes) -> bool:
    """A photograph, or a series of them, coded as HEVC or in a way that the brands do not tell."""
    return _still(head) == "HEIC"


def is_avif(head: bytes) -> bool:
    """A photograph, or a series of them, coded as AV1."""
    return _still(head) == "AVIF"


def _still(head: bytes) -> str | None:
    """`HEIC` or `AVIF` by the major brand; where that is of another kind, by the compatible ones."""
    if head[4:8] != b"ftyp":
        return None
    size = int.from_bytes(head[:4], "big")
    major, others = head[8:12], head[16:size]
    brands = {others[place : place + 4] for place in range(0, len(others), 4)}
    if major in _AVIF_BRANDS | _HEIC_BRANDS:
        return "AVIF" if major in _AVIF_BRANDS else "HEIC"
    stills = brands & (_AVIF_BRANDS | _HEIC_BRANDS | _STILL_BRANDS)
    is_movie = _MOVIES.match(major) or (any(map(_MOVIES.match, brands)) and major not in _STILL_BRANDS)
    if major not in _STILL_BRANDS and (is_movie or not stills):
        return None
    return "AVIF" if brands & _AVIF_BRANDS and not brands & _HEIC_BRANDS else "HEIC"


def is_text(head: bytes) -> bool:
    """Whether the bytes are UTF-8 without control characters."""
    try:
        text = getincrementaldecoder("utf-8")().decode(head)  # which lets a character be cut by the end of the head
    except UnicodeDecodeError:
        return False
    return re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text) is None
