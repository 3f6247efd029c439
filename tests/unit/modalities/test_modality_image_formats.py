"""Formats beside the usual ones, transparent colours of any depth, and orientation in every format that knows of it."""

import io
import struct
import zlib
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import features

from polymodal.codecs import pictures
from polymodal.codecs import sniffing as formats
from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.media import open_cell
from polymodal.errors import UnreadableCellError
from polymodal.modalities.image import Image, ImageConfig

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def encode(picture, kind, **options):
    file = io.BytesIO()
    Pillow.fromarray(picture).save(file, kind, **options) if isinstance(picture, np.ndarray) else picture.save(
        file, kind, **options
    )
    return file.getvalue()


def read(cell, size=16, **settings):
    return Image(ImageConfig(size=size, **settings)).read(cell)


def png(values, depth, transparent):
    """Grey [H, W] or RGB [H, W, 3] of so many bits a value, with one transparent colour, which Pillow cannot write."""
    colour = 2 if values.ndim == 3 else 0

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = []
    for row in values.reshape(len(values), -1):
        bits = "".join(format(value, f"0{depth}b") for value in row.tolist())
        bits += "0" * (-len(bits) % 8)
        rows.append(bytes(int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)))
    header = struct.pack(">IIBBBBB", values.shape[1], len(values), depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    named = struct.pack(f">{np.size(transparent)}H", *np.ravel(transparent).tolist())
    parts = [(b"IHDR", header), (b"tRNS", named), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


class TestTransparentColour:
    @pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
    def test_of_grey(self, depth):
        top = 2**depth - 1
        values = RNG.integers(0, top + 1, (8, 8))
        values[0, :4] = [0, top, top // 3, max(0, top // 3 - 1)]
        for transparent in {0, top // 3, top}:
            expected = np.where(values == transparent, 255, np.rint(values * (255 / top))).astype(np.uint8)
            array = read(png(values, depth, transparent), size=8)
            np.testing.assert_array_equal(array, np.repeat(expected[..., None], 3, axis=2))

    @pytest.mark.parametrize("depth", [8, 16])
    def test_of_rgb_in_all_of_its_bits(self, depth):
        top = 2**depth - 1
        values = RNG.integers(0, top + 1, (8, 8, 3))
        values[0, 0] = values[3, 3] = [top // 5, top // 3, top // 2]
        values[0, 1] = values[0, 0] + [0, 0, 1]  # its neighbour has the same high bytes
        expected = (values >> (depth - 8)).astype(np.uint8)
        expected[0, 0] = expected[3, 3] = 255
        np.testing.assert_array_equal(read(png(values, depth, values[0, 0]), size=8), expected)

    def test_of_twelve_bits_does_not_change_how_many_are_used(self):
        values = np.arange(64).reshape(8, 8) * 64
        content = png(values, 16, 64)
        assert Image.suggest([content] * 4, LimitsConfig())["bits"] == 12
        array = read(content, size=8, bits=12)
        assert array[0, 1].tolist() == [255] * 3
        assert array[1, 0, 0] == round(values[1, 0] * 255 / 4_095)

    def test_of_a_pil_image(self, tmp_path):
        values = np.array([[1_000, 40_000]])
        with Pillow.open(io.BytesIO(png(values, 16, 1_000))) as picture:
            opened = open_cell(picture, tmp_path, LimitsConfig()).content
        assert pictures.open_picture(opened, pictures.Reading(100)).getpixel((0, 0)) == (255, 255, 255)
        assert pictures.open_picture(opened, pictures.Reading(100)).getpixel((1, 0)) == (156, 156, 156)


ORIENTED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", pytest.param("AVIF", marks=avif)])
def test_orientation_also_mirrored_in_every_format(kind, orientation):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    pixels = np.kron(
        [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], [255, 255, 255], [128, 128, 0]]], np.ones((16, 16, 1))
    )
    pixels = pixels.astype(np.uint8)
    upright = ORIENTED[orientation](pixels)
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind in {"JPEG", "AVIF"} else {}
    opened = np.asarray(pictures.open_picture(encode(pixels, kind, exif=exif, **options), pictures.Reading(10_000)))
    assert opened.shape == upright.shape
    assert np.abs(opened.astype(int)[8::16, 8::16] - upright[8::16, 8::16]).max() < 40


OTHERS = [
    ("PPM", PIXELS, {}, "PPM"),
    ("PPM", PIXELS[..., 0], {}, "PPM"),
    ("PPM", (PIXELS[..., 0] > 128), {}, "PPM"),
    ("PPM", PIXELS[..., 0].astype(np.uint16) * 257, {}, "PPM"),
    ("JPEG2000", PIXELS, {}, "JPEG 2000"),
    ("JPEG2000", PIXELS, {"no_jp2": True}, "JPEG 2000"),
]


@pytest.mark.parametrize(("kind", "pixels", "options", "name"), OTHERS)
def test_further_lossless_formats(kind, pixels, options, name):
    content = encode(pixels, kind, **options)
    found = formats.sniff(content)
    assert found is not None and found.name == name
    grey = pixels if pixels.ndim == 2 else None
    expected = pixels
    if grey is not None:
        grey = grey.astype(np.uint8) * 255 if grey.dtype == bool else grey
        expected = np.repeat((grey / (257 if grey.dtype == np.uint16 else 1)).astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(read(content), expected)
    for end in {*range(20, len(content), 17), *range(len(content) - 12, len(content))}:
        with pytest.raises(UnreadableCellError):
            read(content[:end])


def test_netpbm_as_text():
    content = b"P3\n# by hand\n2 1\n255\n255 0 0  0 0 17\n"
    assert np.asarray(pictures.open_picture(content, pictures.Reading(100))).tolist() == [[[255, 0, 0], [0, 0, 17]]]
    for cut in range(1, 12):
        with pytest.raises(UnreadableCellError):
            read(content[:-cut])


@avif
def test_avif_is_read_whole_or_not_at_all():
    content = encode(np.kron(PIXELS[:4, :4], np.ones((8, 8, 1), np.uint8)), "AVIF", quality=95)
    assert np.abs(read(content, size=32)[4::8, 4::8].astype(int) - PIXELS[:4, :4]).mean() < 12
    for end in {*range(20, len(content), 17), *range(len(content) - 12, len(content))}:
        with pytest.raises(UnreadableCellError):
            read(content[:end])


HEIC = b"\0\0\0\x1cftypheix\0\0\0\0mif1heixmiaf\0\0\0\x08free"


@pytest.mark.skipif(find_spec("pillow_heif") is not None, reason="HEIC can be read")
def test_heic_is_named_with_what_to_do_where_the_extra_is_missing():
    with pytest.raises(UnreadableCellError, match=r"looks like HEIC.*polymodal\[heif\].*PNG or JPEG"):
        read(HEIC)


def test_heic_with_the_extra():
    heif = pytest.importorskip("pillow_heif")
    pixels = np.kron(PIXELS[:4, :4], np.ones((16, 16, 1), np.uint8))
    file = io.BytesIO()
    heif.from_pillow(Pillow.fromarray(pixels)).save(file, quality=95)
    content = file.getvalue()
    assert np.abs(read(content, size=64)[8::16, 8::16].astype(int) - PIXELS[:4, :4]).mean() < 12
    header = pictures.header(content)
    assert header is not None and (header.width, header.height) == (64, 64)
    with pytest.raises(UnreadableCellError, match="damaged"):
        read(HEIC)
    for end in range(20, len(content), 97):
        with pytest.raises(UnreadableCellError):
            read(content[:end])
