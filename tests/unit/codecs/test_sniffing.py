from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from polymodal.codecs import sniffing as formats

NAMED = [
    (b"<!DOCTYPE html><html></html>", "HTML"),
    (b"\xef\xbb\xbf \r\n<HTML>", "HTML"),
    (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    (b"<?xml version='1.0'?>", "XML"),
    (b"%PDF-1.7", "PDF"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
    (b"PK\x03\x04....", "ZIP"),
    (b"#EXTM3U\n#EXT-X-VERSION:3", "an M3U8 playlist"),
    (b"ffconcat version 1.0\nfile /etc/passwd", "an FFmpeg concat list"),
    (b"v=0\no=- 0 0 IN IP4 127.0.0.1", "an SDP session"),
    (b"\0\0\0\x20ftypisom", "MP4"),
    (b"\0\0\0\x1cftypheic", "HEIC"),
    (b"caff\0\1\0\0desc", "CAF"),
    (b"\xff\x0a\xfa\x3f", "JPEG XL"),
    (b"\xff\xfd\x84\x04", "MP2"),
    (b"P5 and P6 are places", "plain text"),
    (b"P6\n# made by hand\n12 8\n255\n", "PPM"),
    (b"G" + bytes(187) + b"G" + bytes(187) + b"G" + bytes(100), "MPEG-TS"),
    (b"G" * 600, "plain text"),
    (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
    (b"\x80\x04\x95", "Python pickle"),
    (b"BMW is a maker of cars", "plain text"),
    ("grüße".encode() * 20, "plain text"),
]


@pytest.mark.parametrize(("content", "name"), NAMED)
def test_content_is_named(content, name):
    found = formats.sniff(content)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"])
def test_pictures_that_pillow_writes(name):
    file = io.BytesIO()
    Image.new("RGB", (3, 2)).save(file, name)
    found = formats.sniff(file.getvalue())
    assert found is not None
    assert (found.name, found.family) == (name, "image")


@pytest.mark.parametrize(
    ("kind", "subtype", "name"),
    [("WAV", "PCM_16", "WAV"), ("FLAC", None, "FLAC"), ("OGG", "VORBIS", "Ogg"), ("OGG", "OPUS", "Ogg"),
     ("MP3", None, "MP3")],
)  # fmt: skip
def test_recordings_that_libsndfile_writes(kind, subtype, name):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(4_000), 16_000, format=kind, subtype=subtype)
    found = formats.sniff(file.getvalue())
    assert found is not None
    assert (found.name, found.family) == (name, "audio")


def test_an_mp3_frame_without_tags():
    assert formats.sniff(b"\xff\xfb\x90\x64") == formats.MP3


# The last three are MPEG frame headers but for a reserved bit rate, sample rate or version.
@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x01\x02\x03", b"\xff\xfe\x00\x00", b"\xff\xfb\xf0\x64", b"\xff\xfb\x9c\x64", b"\xff\xeb\x90\x64"],
)
def test_unknown_bytes_have_no_name(content):
    assert formats.sniff(content) is None


def test_every_head_length_is_safe():
    whole = b"".join(content for content, _ in NAMED)
    for start in range(len(whole)):
        formats.sniff(whole[start:])
        formats.sniff(whole[:start])
        formats.describe(whole[start : start + 3])


@pytest.mark.parametrize("start", [b"\0\0\0\x6cmoov", b"\0\0\0\x08wide\0\0\1\0mdat", b"\0\0\1\0mdat"])
def test_quicktime_from_before_mp4(start):
    assert formats.sniff(start + bytes(40)) == formats.MP4
    assert formats.sniff(b"get free money from us") == formats.PLAIN_TEXT


HELD = [
    (b"\0\0\0\x1cftypM4A \0\0\0\0", "audio"),
    (b"\0\0\0\x20ftypisom" + bytes(40), "video"),
    (b"\0\0\0\x20ftypisom" + bytes(40) + b"hdlr" + bytes(8) + b"soun", "audio"),
    (b"\0\0\0\x20ftypisom" + bytes(40) + b"hdlr" + bytes(8) + b"soun" + b"hdlr" + bytes(8) + b"vide", "video"),
    (b"\x1aE\xdf\xa3" + bytes(90) + b"\x86\x86A_OPUS", "audio"),
    (b"\x1aE\xdf\xa3" + bytes(90) + b"\x86\x85V_VP8\x86\x86A_OPUS", "video"),
    (b"RIFF\0\0\0\0AVI " + bytes(90) + b"strh\x38\0\0\0auds", "audio"),
    (b"\xff\xf1\x60\x40" + bytes(20), "audio"),
    (b"<html>", "document"),
    (b"\x07\x01\x02", None),
]


@pytest.mark.parametrize(("head", "family"), HELD)
def test_a_container_is_what_it_holds(head, family):
    assert formats.holds(head) == family


@pytest.mark.parametrize(("options", "family"), [({"loop": 0}, "video"), ({"duration": 40}, "video"), ({}, "image")])
def test_a_gif_that_moves_is_a_video(options, family):
    pictures = [Image.new("P", (4, 4), colour) for colour in (0, 1)]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=bool(options), append_images=pictures[1:] if options else [], **options)
    assert formats.holds(file.getvalue()[:1_024]) == family


BRANDS = [
    (b"heic", b"mif1heic", "HEIC"),
    (b"heix", b"mif1heixmiaf", "HEIC"),
    (b"heim", b"", "HEIC"),
    (b"heis", b"", "HEIC"),
    (b"hevc", b"msf1hevcisom", "HEIC"),
    (b"hevx", b"", "HEIC"),
    (b"mif1", b"mif1heic", "HEIC"),
    (b"msf1", b"msf1hevc", "HEIC"),
    (b"mif1", b"mif1avifmiaf", "AVIF"),
    (b"avif", b"avifmif1miaf", "AVIF"),
    (b"avis", b"avismsf1iso8mif1", "AVIF"),
    (b"MSNV", b"mif1heic", "HEIC"),
    (b"isom", b"isomiso2avc1mp41", "MP4"),
    (b"mp42", b"mp42mif1heic", "MP4"),
    (b"MSNV", b"isommp42", "MP4"),
    (b"qt  ", b"", "MP4"),
    (b"crx ", b"isomcrx ", "Canon CR3"),
]


@pytest.mark.parametrize(("major", "compatible", "name"), BRANDS)
def test_photographs_are_told_from_films_by_all_brands(major, compatible, name):
    box = b"ftyp" + major + bytes(4) + compatible
    found = formats.sniff((4 + len(box)).to_bytes(4, "big") + box + b"\0\0\1\x56meta" + bytes(40) + b"mif1heicavif")
    assert found is not None and found.name == name


def test_what_is_not_read_is_named_with_the_conversion():
    for content, program in ((b"caff\0\1\0\0desc", "ffmpeg"), (b"8BPS\0\1", "magick"), (b"\0\0\1\xba\x44", "ffmpeg")):
        assert program in formats.describe(content)
