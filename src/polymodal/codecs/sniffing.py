"""Names what bytes are by how they begin, never by a file's name.

Modalities read only formats they allow; for all others the name makes the message: "not an image: looks like HTML".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePath

from polymodal.codecs import signatures as sign

HEAD = 512  # so many first bytes are enough to tell every format below


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: for messages.
        family: what it holds: `image`, `audio`, `video`, `document`, `playlist`, `table`, ...; media that are not read
            are a `photograph`, `recording` or `film`.
        begins: whether the first bytes of a file are of this format.
        suffixes: how the names of its files end.
        remedy: what to do with a file that is not read.
    """

    name: str
    family: str
    begins: sign.Signature = field(compare=False, repr=False)
    suffixes: tuple[str, ...] = field(default=(), compare=False, repr=False)
    remedy: str = field(default="", compare=False, repr=False)


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
        how = f", which is not read: {format_.remedy}" if format_ in NOT_READ else ""
        return f"looks like {format_.name}{how}"
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

    A container is `audio` where its first bytes name sound and no pictures, or the brand of recordings, and Ogg also
    where they name neither; else `video`. A GIF is `video` where it repeats, or waits before a frame.

    >>> holds(b"\0\0\0\x1cftypM4A ")
    'audio'
    """
    format_ = sniff(head)
    if format_ is None:
        return None
    if format_ == GIF:
        return "video" if _MOVES.search(head) else "image"
    sound, pictures = _TRACKS.get(format_, (None, None))
    if sound is None or pictures is None or pictures.search(head):
        return format_.family if pictures is None else "video"
    return "audio" if sound.search(head) else format_.family


_PICTURE = "convert it to PNG or JPEG, as with `magick IN OUT.png`"
_SOUND = "convert it, as with `ffmpeg -i IN OUT.flac`"
_FILM = "convert it, as with `ffmpeg -i IN OUT.mp4`"

JPEG = Format("JPEG", "image", sign.starts(b"\xff\xd8\xff"), (".jpg", ".jpeg", ".jpe", ".jfif"))
PNG = Format("PNG", "image", sign.starts(b"\x89PNG\r\n\x1a\n"), (".png",))
WEBP = Format("WebP", "image", sign.chunk(b"RIFF", b"WEBP"), (".webp",))
GIF = Format("GIF", "image", sign.starts(b"GIF87a", b"GIF89a"), (".gif",))
BMP = Format("BMP", "image", sign.is_bmp, (".bmp", ".dib"))
TIFF = Format("TIFF", "image", sign.starts(b"II*\0", b"MM\0*"), (".tif", ".tiff"))
PPM = Format("PPM", "image", sign.is_ppm, (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"))
JP2 = Format("JPEG 2000", "image", sign.starts(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\0"),
             (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
             f"Pillow reads it, installed as a wheel; or {_PICTURE}")  # fmt: skip
DICOM = Format("DICOM", "image", lambda head: head[128:132] == b"DICM", (".dcm", ".dicom"))
AVIF = Format("AVIF", "image", sign.is_avif, (".avif", ".avifs"),
              f"Pillow 11.3 or newer reads it, installed as a wheel; or {_PICTURE}")  # fmt: skip
HEIC = Format("HEIC", "image", sign.is_heic, (".heic", ".heif", ".heics", ".hif"),
              f"`pip install 'polymodal[heif]'` lets it be read; or {_PICTURE}")  # fmt: skip
WAV = Format("WAV", "audio", sign.is_wave, (".wav", ".wave", ".rf64", ".bw64", ".bwf"))
AIFF = Format("AIFF", "audio", sign.chunk(b"FORM", b"AIFF", b"AIFC"), (".aif", ".aiff", ".aifc"))
AU = Format("AU", "audio", sign.starts(b".snd\0\0", b"dns."), (".au", ".snd"))
FLAC = Format("FLAC", "audio", sign.starts(b"fLaC"), (".flac",))
OGG = Format("Ogg", "audio", sign.starts(b"OggS"), (".ogg", ".oga", ".opus", ".ogv", ".spx"))
MP3 = Format("MP3", "audio", lambda head: head.startswith(b"ID3") or sign.is_mpeg_audio(head), (".mp3",))
AAC = Format("AAC", "audio", sign.is_adts, (".aac",))
MP4 = Format("MP4", "video", sign.is_quicktime, (".mp4", ".m4v", ".m4a", ".m4b", ".mov", ".3gp"))
MATROSKA = Format("Matroska or WebM", "video", sign.starts(b"\x1aE\xdf\xa3"), (".mkv", ".mka", ".webm"))
AVI = Format("AVI", "video", sign.chunk(b"RIFF", b"AVI "), (".avi",))
FLV = Format("FLV", "video", sign.starts(b"FLV\1"), (".flv",))
PLAIN_TEXT = Format("plain text", "document", lambda head: bool(head) and sign.is_text(head))

# In this order: the 128 bytes before the mark of DICOM may be another format, such as TIFF; HEIC begins as MP4 does.
_MEDIA = (DICOM, JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM, JP2, WAV, AIFF, AU, FLAC, OGG, MP3, AAC, AVI, FLV, AVIF, HEIC)
# Media that are known, but not read.
NOT_READ = (
    Format("JPEG XL", "photograph", sign.starts(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), (".jxl",), _PICTURE),
    Format("Canon CR3", "photograph", lambda head: head[4:12] == b"ftypcrx ", (".cr3",), _PICTURE),
    Format("Photoshop", "photograph", sign.starts(b"8BPS"), (".psd", ".psb"), _PICTURE),
    Format("OpenEXR", "photograph", sign.starts(b"\x76\x2f\x31\x01"), (".exr",), _PICTURE),
    Format("Radiance HDR", "photograph", sign.starts(b"#?RADIANCE", b"#?RGBE"), (".hdr",), _PICTURE),
    Format("QOI", "photograph", sign.starts(b"qoif"), (".qoi",), _PICTURE),
    Format("DDS", "photograph", sign.starts(b"DDS \x7c"), (".dds",), _PICTURE),
    Format("FITS", "photograph", sign.starts(b"SIMPLE  ="), (".fits",), _PICTURE),
    Format("ICO", "photograph", sign.is_icon, (".ico",), _PICTURE),
    Format("CAF", "recording", sign.starts(b"caff\0"), (".caf",), _SOUND),
    Format("Wave64", "recording", sign.starts(b"riff\x2e\x91\xcf\x11"), (".w64",), _SOUND),
    Format("NIST SPHERE", "recording", sign.starts(b"NIST_1A"), (".sph",), _SOUND),
    Format("MP2", "recording", sign.is_layer_two, (".mp2",), _SOUND),
    Format("AC-3", "recording", sign.starts(b"\x0b\x77"), (".ac3",), _SOUND),
    Format("VOC", "recording", sign.starts(b"Creative Voice File"), (".voc",), _SOUND),
    Format("AMR", "recording", sign.starts(b"#!AMR"), (".amr", ".awb"), _SOUND),
    Format("MIDI", "recording", sign.starts(b"MThd\0"), (".mid", ".midi"), "render it with a synthesizer first"),
    Format("WavPack", "recording", sign.starts(b"wvpk"), (".wv",), _SOUND),
    Format("Monkey's Audio", "recording", sign.starts(b"MAC \x96"), (".ape",), _SOUND),
    Format("Windows Media", "film", sign.starts(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), (".wmv", ".wma", ".asf"),
           f"{_FILM} or, for sound alone, OUT.flac"),
    Format("MPEG-TS", "film", sign.is_transport_stream, (".ts", ".m2ts", ".mts"), _FILM),
    Format("MPEG-PS", "film", sign.starts(b"\0\0\1\xba", b"\0\0\1\xb3"), (".mpg", ".mpeg", ".vob"), _FILM),
    Format("YUV4MPEG2", "film", sign.starts(b"YUV4MPEG2"), (".y4m",), _FILM),
    Format("RealMedia", "film", sign.starts(b".RMF"), (".rm", ".rmvb"), _FILM),
)  # fmt: skip
_KNOWN = (
    *_MEDIA,
    *NOT_READ,
    MP4,
    MATROSKA,
    Format("ZIP", "archive", sign.starts(b"PK\x03\x04", b"PK\x05\x06")),
    Format("gzip", "archive", sign.starts(b"\x1f\x8b")),
    Format("7-Zip", "archive", sign.starts(b"7z\xbc\xaf\x27\x1c")),
    Format("NumPy", "array", sign.starts(b"\x93NUMPY")),
    Format("Parquet", "table", sign.starts(b"PAR1")),
    Format("Python pickle", "program", sign.starts(b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5")),
    Format("ELF", "program", sign.starts(b"\x7fELF")),
    Format("PDF", "document", sign.starts(b"%PDF-")),
    Format("PostScript", "document", sign.starts(b"%!PS", b"\xc5\xd0\xd3\xc6")),
    Format("HTML", "document", sign.says(b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<title")),
    Format("SVG", "document", sign.says(b"<svg", b"<!doctype svg")),
    Format("XML", "document", sign.says(b"<?xml")),
    Format("an M3U8 playlist", "playlist", sign.says(b"#extm3u")),
    Format("an FFmpeg concat list", "playlist", sign.says(b"ffconcat")),
    Format("an SDP session", "playlist", sign.says(b"v=0\no=", b"v=0\r\no=")),
    Format("a Git LFS pointer", "document", sign.says(b"version https://git-lfs")),
    Format("JSON", "document", sign.says(b'{"', b"[{", b'["')),
    PLAIN_TEXT,
)
_SUFFIXES = {suffix: format_ for format_ in (*_MEDIA, *NOT_READ, MP4, MATROSKA) for suffix in format_.suffixes}

# How the kinds of track are named: sound, pictures.
_TRACKS = {
    MP4: (re.compile(rb"ftypM4[AB] |hdlr.{8}soun", re.DOTALL), re.compile(rb"hdlr.{8}vide", re.DOTALL)),
    MATROSKA: (re.compile(rb"\x86[\x80-\xa0]A_"), re.compile(rb"\x86[\x80-\xa0]V_")),  # element CodecID
    OGG: (re.compile(rb"\x01vorbis|OpusHead|\x7fFLAC|Speex   "), re.compile(rb"\x80theora")),
    FLV: (re.compile(rb"FLV\x01\x04"), re.compile(rb"FLV\x01[\x01\x05]")),
    AVI: (re.compile(rb"strh.{4}auds", re.DOTALL), re.compile(rb"strh.{4}vids", re.DOTALL)),
}
# The extension that says how often to repeat; a graphic control extension with a delay (GIF89a, 23).
_MOVES = re.compile(rb"\x21\xff\x0bNETSCAPE2\.0|\x21\xf9\x04.(?!\0\0)..", re.DOTALL)
