"""Names what bytes are by how they begin, never by a file's name.

Modalities read only formats they allow; for all others the name makes the message: "not an image: looks like HTML".
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

HEAD = 132  # so many first bytes are enough to tell every format below


@dataclass(frozen=True)
class Format:
    """A file format and what it holds: `image`, `audio`, `video`, `photograph`, `document`, `playlist`, `table`, ..."""

    name: str
    family: str


def sniff(content: bytes) -> Format | None:
    """The format of a file from its first bytes; None where nothing known fits.

    >>> sniff(b"<!DOCTYPE html><title>404</title>")
    Format(name='HTML', family='document')
    """
    head = content[:HEAD]
    for format_, fits in _BINARY:
        if fits(head):
            return format_
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for format_, starts in _TEXT:
        if text.startswith(starts):
            return format_
    return PLAIN_TEXT if head and _is_text(head) else None


def describe(content: bytes) -> str:
    """What bytes look like, for the end of a message.

    >>> describe(b"%PDF-1.7")
    'looks like PDF'
    """
    format_ = sniff(content)
    if format_ is not None:
        return f"looks like {format_.name}"
    return f"starts with the unknown bytes {content[:4].hex(' ')}" if content else "holds no bytes"


def misnamed(file: str, content: bytes) -> str | None:
    r"""A note on a picture or recording whose file's name ends as that of another format; else None.

    >>> misnamed("cat.jpg", b"\x89PNG\r\n\x1a\n")
    'read as PNG though named .jpg'
    """
    suffix = PurePath(file).suffix.lower()
    said, found = _SUFFIXES.get(suffix), sniff(content)
    if said is None or found is None or said == found or found not in _SUFFIXES.values():
        return None
    return f"read as {found.name} though named {suffix}"


def holds(head: bytes) -> str | None:
    r"""What a file is for, by its first thousand bytes: its format's family, but what is inside where a format has two.

    A container is `audio` where its first bytes name sound and no pictures, or the brand of recordings; else `video`. A
    GIF is `video` where it repeats, or waits before a frame.

    >>> holds(b"\0\0\0\x1cftypM4A ")
    'audio'
    """
    format_ = sniff(head)
    if format_ is None:
        return None
    if format_ == GIF:
        return "video" if _MOVES.search(head) else "image"
    sound, pictures = _TRACKS.get(format_, (None, None))
    if sound is not None and pictures is not None and sound.search(head) and not pictures.search(head):
        return "audio"
    return format_.family


def _starts(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _chunk(container: bytes, kind: bytes) -> Callable[[bytes], bool]:
    """RIFF and IFF: four letters, a length, four letters that say what is inside."""
    return lambda head: head[:4] == container and head[8:12] == kind


def _is_bmp(head: bytes) -> bool:
    """`BM` alone begins many a text: the length of the second header must be one that exists, too."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in {12, 40, 52, 56, 64, 108, 124}


def _is_mpeg_audio(head: bytes) -> bool:
    """Frame header of ISO/IEC 11172-3, 2.4.1.3: sync word, layer III, and no reserved version, bit or sample rate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer, rates = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2]
    return version != 1 and layer == 1 and rates >> 4 not in {0, 15} and rates >> 2 & 3 != 3


def _is_adts(head: bytes) -> bool:
    """Header of ISO/IEC 13818-7, 6.2: sync word, layer 0, and a sample rate that exists."""
    return len(head) >= 4 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13


def _is_quicktime(head: bytes) -> bool:
    """MP4 and its elders, which begin with another box than `ftyp`; of less than 16 MB, so that no text begins so."""
    return head[4:8] == b"ftyp" or (head[:1] == b"\0" and head[4:8] in {b"moov", b"mdat", b"wide", b"free", b"skip"})


def _is_text(head: bytes) -> bool:
    try:
        text = getincrementaldecoder("utf-8")().decode(head)  # which lets a character be cut by the end of the head
    except UnicodeDecodeError:
        return False
    return re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text) is None


JPEG = Format("JPEG", "image")
PNG = Format("PNG", "image")
WEBP = Format("WebP", "image")
GIF = Format("GIF", "image")
BMP = Format("BMP", "image")
TIFF = Format("TIFF", "image")
DICOM = Format("DICOM", "image")
WAV = Format("WAV", "audio")
FLAC = Format("FLAC", "audio")
OGG = Format("Ogg", "audio")
MP3 = Format("MP3", "audio")
AAC = Format("AAC", "audio")
MP4 = Format("MP4", "video")
MATROSKA = Format("Matroska or WebM", "video")
AVI = Format("AVI", "video")
PLAIN_TEXT = Format("plain text", "document")

_SUFFIXES = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), JPEG),
    ".png": PNG,
    ".webp": WEBP,
    ".gif": GIF,
    **dict.fromkeys((".bmp", ".dib"), BMP),
    **dict.fromkeys((".tif", ".tiff"), TIFF),
    **dict.fromkeys((".dcm", ".dicom"), DICOM),
    **dict.fromkeys((".wav", ".wave"), WAV),
    ".flac": FLAC,
    **dict.fromkeys((".ogg", ".oga", ".opus"), OGG),
    ".mp3": MP3,
    ".aac": AAC,
    **dict.fromkeys((".mp4", ".m4v", ".m4a", ".m4b", ".mov", ".3gp"), MP4),
    **dict.fromkeys((".mkv", ".mka", ".webm"), MATROSKA),
    ".avi": AVI,
}

# How the kinds of track are named: sound, pictures.
_TRACKS = {
    MP4: (re.compile(rb"ftypM4[AB] |hdlr.{8}soun", re.DOTALL), re.compile(rb"hdlr.{8}vide", re.DOTALL)),
    MATROSKA: (re.compile(rb"\x86[\x80-\xa0]A_"), re.compile(rb"\x86[\x80-\xa0]V_")),  # element CodecID
    AVI: (re.compile(rb"strh.{4}auds", re.DOTALL), re.compile(rb"strh.{4}vids", re.DOTALL)),
}
# The extension that says how often to repeat; a graphic control extension with a delay (GIF89a, 23).
_MOVES = re.compile(rb"\x21\xff\x0bNETSCAPE2\.0|\x21\xf9\x04.(?!\0\0)..", re.DOTALL)

_BINARY: tuple[tuple[Format, Callable[[bytes], bool]], ...] = (
    (DICOM, lambda head: head[128:132] == b"DICM"),  # the 128 bytes before may be another format, such as TIFF
    (JPEG, _starts(b"\xff\xd8\xff")),
    (PNG, _starts(b"\x89PNG\r\n\x1a\n")),
    (WEBP, _chunk(b"RIFF", b"WEBP")),
    (GIF, _starts(b"GIF87a", b"GIF89a")),
    (BMP, _is_bmp),
    (TIFF, _starts(b"II*\0", b"MM\0*")),
    (WAV, _chunk(b"RIFF", b"WAVE")),
    (FLAC, _starts(b"fLaC")),
    (OGG, _starts(b"OggS")),
    (MP3, lambda head: head.startswith(b"ID3") or _is_mpeg_audio(head)),
    (Format("AIFF", "audio"), _chunk(b"FORM", b"AIFF")),
    (AAC, _is_adts),
    (AVI, _chunk(b"RIFF", b"AVI ")),
    (Format("HEIC or AVIF", "photograph"), lambda head: head[4:12] in {b"ftypheic", b"ftypavif", b"ftypmif1"}),
    (MP4, _is_quicktime),
    (MATROSKA, _starts(b"\x1aE\xdf\xa3")),
    (Format("ZIP", "archive"), _starts(b"PK\x03\x04", b"PK\x05\x06")),
    (Format("gzip", "archive"), _starts(b"\x1f\x8b")),
    (Format("7-Zip", "archive"), _starts(b"7z\xbc\xaf\x27\x1c")),
    (Format("NumPy", "array"), _starts(b"\x93NUMPY")),
    (Format("Parquet", "table"), _starts(b"PAR1")),
    (
        Format("Python pickle", "program"),
        lambda head: head[:1] == b"\x80" and head[1:2] in {b"\2", b"\3", b"\4", b"\5"},
    ),
    (Format("ELF", "program"), _starts(b"\x7fELF")),
    (Format("PDF", "document"), _starts(b"%PDF-")),
    (Format("PostScript", "document"), _starts(b"%!PS", b"\xc5\xd0\xd3\xc6")),
)

_TEXT: tuple[tuple[Format, tuple[bytes, ...]], ...] = (
    (Format("HTML", "document"), (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<title")),
    (Format("SVG", "document"), (b"<svg", b"<!doctype svg")),
    (Format("XML", "document"), (b"<?xml",)),
    (Format("an M3U8 playlist", "playlist"), (b"#extm3u",)),
    (Format("an FFmpeg concat list", "playlist"), (b"ffconcat",)),
    (Format("an SDP session", "playlist"), (b"v=0\no=", b"v=0\r\no=")),
    (Format("a Git LFS pointer", "document"), (b"version https://git-lfs",)),
    (Format("JSON", "document"), (b'{"', b"[{", b'["')),
)
