"""Names what bytes are by how they begin, never by a file's name.

Modalities read only formats they allow; for all others the name makes the message: "not an image: looks like HTML".
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath

HEAD = 132  # so many first bytes are enough to tell every format below


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: for messages.
        family: what it holds: `image`, `audio`, `video`, `photograph`, `document`, `playlist`, `table`, ...
        begins: whether the first bytes of a file are of this format.
        suffixes: how the names of its files end.
    """

    name: str
    family: str
    begins: Callable[[bytes], bool] = field(compare=False, repr=False)
    suffixes: tuple[str, ...] = field(default=(), compare=False, repr=False)


def sniff(content: bytes) -> Format | None:
    """The format of a file from its first bytes; None where nothing known fits.

    >>> sniff(b"<!DOCTYPE html><title>404</title>")
    Format(name='HTML', family='document')
    """
    head = content[:HEAD]
    return next((format_ for format_ in _KNOWN if format_.begins(head)), None)


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


def _says(*starts: bytes) -> Callable[[bytes], bool]:
    """Of text: in any case, behind a byte order mark and white space."""
    return lambda head: head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(starts)


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


JPEG = Format("JPEG", "image", _starts(b"\xff\xd8\xff"), (".jpg", ".jpeg", ".jpe", ".jfif"))
PNG = Format("PNG", "image", _starts(b"\x89PNG\r\n\x1a\n"), (".png",))
WEBP = Format("WebP", "image", _chunk(b"RIFF", b"WEBP"), (".webp",))
GIF = Format("GIF", "image", _starts(b"GIF87a", b"GIF89a"), (".gif",))
BMP = Format("BMP", "image", _is_bmp, (".bmp", ".dib"))
TIFF = Format("TIFF", "image", _starts(b"II*\0", b"MM\0*"), (".tif", ".tiff"))
DICOM = Format("DICOM", "image", lambda head: head[128:132] == b"DICM", (".dcm", ".dicom"))
HEIC = Format("HEIC or AVIF", "photograph", lambda head: head[4:12] in {b"ftypheic", b"ftypavif", b"ftypmif1"})
WAV = Format("WAV", "audio", _chunk(b"RIFF", b"WAVE"), (".wav", ".wave"))
FLAC = Format("FLAC", "audio", _starts(b"fLaC"), (".flac",))
OGG = Format("Ogg", "audio", _starts(b"OggS"), (".ogg", ".oga", ".opus"))
MP3 = Format("MP3", "audio", lambda head: head.startswith(b"ID3") or _is_mpeg_audio(head), (".mp3",))
AAC = Format("AAC", "audio", _is_adts, (".aac",))
MP4 = Format("MP4", "video", _is_quicktime, (".mp4", ".m4v", ".m4a", ".m4b", ".mov", ".3gp"))
MATROSKA = Format("Matroska or WebM", "video", _starts(b"\x1aE\xdf\xa3"), (".mkv", ".mka", ".webm"))
AVI = Format("AVI", "video", _chunk(b"RIFF", b"AVI "), (".avi",))
PLAIN_TEXT = Format("plain text", "document", lambda head: bool(head) and _is_text(head))

# In this order: the 128 bytes before the mark of DICOM may be another format, such as TIFF; HEIC begins as MP4 does.
_MEDIA = (DICOM, JPEG, PNG, WEBP, GIF, BMP, TIFF, WAV, FLAC, OGG, MP3, AAC, AVI, HEIC, MP4, MATROSKA)
_KNOWN = (
    *_MEDIA,
    Format("AIFF", "audio", _chunk(b"FORM", b"AIFF")),
    Format("ZIP", "archive", _starts(b"PK\x03\x04", b"PK\x05\x06")),
    Format("gzip", "archive", _starts(b"\x1f\x8b")),
    Format("7-Zip", "archive", _starts(b"7z\xbc\xaf\x27\x1c")),
    Format("NumPy", "array", _starts(b"\x93NUMPY")),
    Format("Parquet", "table", _starts(b"PAR1")),
    Format("Python pickle", "program", _starts(b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5")),
    Format("ELF", "program", _starts(b"\x7fELF")),
    Format("PDF", "document", _starts(b"%PDF-")),
    Format("PostScript", "document", _starts(b"%!PS", b"\xc5\xd0\xd3\xc6")),
    Format("HTML", "document", _says(b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<title")),
    Format("SVG", "document", _says(b"<svg", b"<!doctype svg")),
    Format("XML", "document", _says(b"<?xml")),
    Format("an M3U8 playlist", "playlist", _says(b"#extm3u")),
    Format("an FFmpeg concat list", "playlist", _says(b"ffconcat")),
    Format("an SDP session", "playlist", _says(b"v=0\no=", b"v=0\r\no=")),
    Format("a Git LFS pointer", "document", _says(b"version https://git-lfs")),
    Format("JSON", "document", _says(b'{"', b"[{", b'["')),
    PLAIN_TEXT,
)
_SUFFIXES = {suffix: format_ for format_ in _MEDIA for suffix in format_.suffixes}

# How the kinds of track are named: sound, pictures.
_TRACKS = {
    MP4: (re.compile(rb"ftypM4[AB] |hdlr.{8}soun", re.DOTALL), re.compile(rb"hdlr.{8}vide", re.DOTALL)),
    MATROSKA: (re.compile(rb"\x86[\x80-\xa0]A_"), re.compile(rb"\x86[\x80-\xa0]V_")),  # element CodecID
    AVI: (re.compile(rb"strh.{4}auds", re.DOTALL), re.compile(rb"strh.{4}vids", re.DOTALL)),
}
# The extension that says how often to repeat; a graphic control extension with a delay (GIF89a, 23).
_MOVES = re.compile(rb"\x21\xff\x0bNETSCAPE2\.0|\x21\xf9\x04.(?!\0\0)..", re.DOTALL)
