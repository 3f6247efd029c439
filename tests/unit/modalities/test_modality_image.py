from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFile

from polymodal.errors import ConfigError, UnreadableCellError
from polymodal.modalities.image import Image, ImageConfig
from polymodal.protocols import Sample

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
FORMATS = ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"]


def encode(picture, kind, **options):
    if isinstance(picture, np.ndarray):
        picture = Pillow.fromarray(picture)
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png(width, height, *, depth, colour, rows):
    """A PNG written by hand: for what Pillow cannot write, and sizes that nobody should allocate."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def read(cell, size=16, **settings):
    return Image(ImageConfig(size=size, **settings)).read(cell)


def photo(side=400):
    """Smooth enough to survive JPEG."""
    x, y = np.meshgrid(np.linspace(0, 255, side), np.linspace(0, 255, side))
    return np.stack([x, y, (x + y) / 2], axis=2).astype(np.uint8)


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
                          ("WebP", {"lossless": True})],
)  # fmt: skip
def test_lossless_formats_give_their_pixels(kind, options):
    np.testing.assert_array_equal(read(encode(PIXELS, kind, **options)), PIXELS)


def test_jpeg_gives_nearly_its_pixels():
    difference = read(encode(photo(64), "JPEG", quality=95), size=64).astype(int) - photo(64)
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize(("side", "size"), [(400, 40), (1_000, 64)])
def test_a_large_jpeg_shrinks_as_its_pixels_do(side, size):
    decoded = read(encode(photo(side), "JPEG", quality=95), size=size).astype(int)
    assert np.abs(decoded - read(photo(side), size=size)).max() <= 6


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, lambda a: a), (2, np.fliplr), (3, lambda a: np.rot90(a, 2)), (4, np.flipud),
     (5, lambda a: a.transpose(1, 0, 2)), (6, lambda a: np.rot90(a, -1)),
     (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)), (8, np.rot90)],
)  # fmt: skip
def test_exif_orientation_is_applied(orientation, upright):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(read(encode(PIXELS, "PNG", exif=exif)), upright(PIXELS))


def test_cmyk_by_the_formula():
    cmyk = RNG.integers(0, 256, (16, 16, 4), dtype=np.uint8)
    ink, black = cmyk[..., :3].astype(float), cmyk[..., 3:].astype(float)
    expected = (255 - ink) * (255 - black) / 255
    picture = Pillow.frombytes("CMYK", (16, 16), cmyk.tobytes())
    assert np.abs(read(encode(picture, "TIFF")) - expected).max() <= 1


def test_sixteen_bit_grey_is_scaled_not_clipped():
    grey = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)
    expected = np.repeat(np.rint(grey / 257)[..., None], 3, axis=2)
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(read(encode(grey, kind)), expected)
    np.testing.assert_array_equal(read(grey), expected)


def test_sixteen_bit_colour_is_scaled_not_clipped():
    colours = RNG.integers(0, 65_536, (16, 16, 3), dtype=np.uint16)
    content = png(16, 16, depth=16, colour=2, rows=[row.astype(">u2").tobytes() for row in colours])
    assert np.abs(read(content) - colours / 257).max() <= 1


def test_transparency_lies_on_white():
    rgba = RNG.integers(0, 256, (16, 16, 4), dtype=np.uint8)
    opacity = rgba[..., 3:] / 255
    expected = rgba[..., :3] * opacity + 255 * (1 - opacity)
    for cell in (encode(rgba, "PNG"), encode(rgba, "TIFF"), encode(rgba, "WebP", lossless=True, exact=True), rgba):
        assert np.abs(read(cell) - expected).max() <= 1


def test_palette_with_a_transparent_entry():
    picture = Pillow.new("P", (16, 16), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30, 40, 50, 60])
    picture.putpixel((0, 0), 2)
    for kind in ("PNG", "GIF"):
        pixels = read(encode(picture, kind, transparency=2))
        assert pixels[0, 0].tolist() == [255, 255, 255]
        assert pixels[5, 5].tolist() == [10, 20, 30]


def test_grey_and_one_bit():
    grey = PIXELS[..., 0]
    np.testing.assert_array_equal(read(encode(grey, "PNG")), np.repeat(grey[..., None], 3, axis=2))
    assert set(np.unique(read(encode(Pillow.fromarray(grey > 128), "PNG")))) == {0, 255}


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("WebP", {"lossless": True}), ("PNG", {})])
def test_animations_give_their_first_frame(kind, options):
    frames = [Pillow.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert read(content)[8, 8].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    "cell",
    [PIXELS, PIXELS / 255, (PIXELS / 255).astype(np.float32), PIXELS.astype(np.uint16) * 257, PIXELS[:, ::-1][:, ::-1]],
)
def test_arrays_give_their_pixels(cell):
    np.testing.assert_array_equal(read(cell), PIXELS)


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 1)])
def test_grey_arrays(shape):
    grey = PIXELS[..., 0].reshape(shape)
    np.testing.assert_array_equal(read(grey), np.repeat(PIXELS[..., :1], 3, axis=2))


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_image_becomes_reject(kind, share):
    noise = RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    content = encode(noise, kind)
    with pytest.raises(UnreadableCellError):
        read(content[: int(share * len(content))])


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("size", [16, 512])
def test_truncated_jpeg_becomes_reject_at_any_reduction(options, size):
    content = encode(photo(), "JPEG", **options)
    with pytest.raises(UnreadableCellError, match="damaged JPEG"):
        read(content[: len(content) // 2], size=size)


def test_a_process_that_fills_with_grey_is_stopped(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ConfigError, match="LOAD_TRUNCATED_IMAGES"):
        read(encode(PIXELS, "PNG"))


def test_zero_bytes_become_reject():
    with pytest.raises(UnreadableCellError, match="holds no bytes"):
        read(b"")


def test_content_alone_decides():
    """A PNG is a PNG whatever its file is called: `read` sees no name."""
    np.testing.assert_array_equal(read(encode(PIXELS, "PNG")), PIXELS)


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"<!DOCTYPE html><title>404</title>", "HTML"), (b"%PDF-1.4", "PDF"), (b"PK\3\4", "ZIP"),
     (b"RIFF\0\0\0\0WAVEfmt ", "WAV"), (b"\0\0\0\x20ftypisom", "MP4"), (b"\0\1\2\3", "unknown bytes")],
)  # fmt: skip
def test_what_is_no_image_is_named(content, name):
    with pytest.raises(UnreadableCellError, match=f"not an image: .*{name}"):
        read(content)


@pytest.mark.parametrize(
    "content",
    [b"#EXTM3U\nfile:///etc/passwd", b"ffconcat version 1.0\nfile x", b"v=0\no=- 0 0 IN IP4 127.0.0.1",
     b'<svg xmlns="x"><image href="http://127.0.0.1/"/></svg>', b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file"],
)  # fmt: skip
def test_documents_that_fetch_are_refused_unopened(content, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("opened")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("socket.socket", refuse)
    with pytest.raises(UnreadableCellError, match="not an image"):
        read(content)


def test_a_huge_picture_is_refused_before_decoding(monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    content = png(50_000, 50_000, depth=8, colour=2, rows=[b"\0" * 10])
    with pytest.raises(UnreadableCellError, match="50000 x 50000 pixels, at most 50,000,000"):
        read(content)


def test_pillows_own_limit_neither_warns_nor_refuses(monkeypatch):
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("PNG", "JPEG", "BMP", "GIF"):
            read(encode(PIXELS, kind))
    with pytest.raises(UnreadableCellError, match="at most 255"):
        read(encode(PIXELS, "PNG"), max_pixels=255)
    with pytest.raises(UnreadableCellError, match="at most 255"):
        read(PIXELS, max_pixels=255)


@pytest.mark.parametrize(
    "cell",
    [PIXELS.astype(np.int32), PIXELS[..., :2], PIXELS.transpose(2, 0, 1), np.zeros((0, 4, 3), np.uint8),
     np.full((4, 4), np.nan), PIXELS.astype(float), np.full((4, 4), -0.1), np.zeros(16), "a.png", None, [1], 7],
)  # fmt: skip
def test_other_cells_become_rejects(cell):
    with pytest.raises(UnreadableCellError):
        read(cell)


def test_random_damage_is_a_reject_or_a_picture():
    damage = np.random.default_rng(1)
    for kind in FORMATS:
        whole = np.frombuffer(encode(PIXELS, kind), np.uint8)
        for _ in range(60):
            broken = whole.copy()
            broken[damage.integers(8, len(broken), 4)] = damage.integers(0, 256, 4)
            try:
                assert read(broken.tobytes(), max_pixels=10**6).shape == (16, 16, 3)
            except UnreadableCellError as error:
                assert str(error)


# --- the square ------------------------------------------------------------------------------------------------------


def test_pad_keeps_the_proportion_between_bars_of_the_border_colour():
    wide = np.full((10, 40, 3), (200, 100, 50), np.uint8)
    wide[2:8, 10:30] = 0
    square = read(wide, size=20)
    assert (square[:7] == (200, 100, 50)).all()
    assert (square[-8:] == (200, 100, 50)).all()
    assert square[9, 10].tolist() == [0, 0, 0]


def test_crop_takes_the_middle():
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = PIXELS
    np.testing.assert_array_equal(read(wide, fit="crop"), PIXELS)


def test_stretch_fills_the_square():
    tall = np.repeat(PIXELS, 2, axis=0)
    assert np.abs(read(tall, fit="stretch").astype(int) - PIXELS).max() < 60
    assert read(tall, fit="pad")[:, 0].std(axis=0).max() == 0


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5_000, 3), (5_000, 1, 3), (7, 3, 3)])
def test_any_proportion_gives_the_square(fit, shape):
    assert read(np.full(shape, 77, np.uint8), fit=fit).tolist() == np.full((16, 16, 3), 77).tolist()


def test_shrinking_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(read(stripes)[2:-2, 2:-2].astype(int) - 127).max() <= 8


# --- tensors, statistics, features -----------------------------------------------------------------------------------


def test_collate_puts_channels_first_and_marks_what_is_missing():
    cells = Image(ImageConfig(size=16)).collate([PIXELS, None])
    np.testing.assert_array_equal(cells.values[0].numpy(), PIXELS.transpose(2, 0, 1))
    assert cells.values[1].sum() == 0
    assert cells.lengths.tolist() == [1, 0]


def test_statistics_agree_with_numpy():
    arrays = [RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(5)]
    statistics = Image(ImageConfig(size=16)).fit(iter(arrays))
    values = np.stack(arrays).reshape(-1, 3) / 255
    np.testing.assert_allclose(statistics["mean"], values.mean(axis=0))
    np.testing.assert_allclose(statistics["std"], values.std(axis=0))


def test_statistics_of_nothing_and_of_one_colour_can_divide():
    image = Image(ImageConfig(size=16))
    assert min(image.fit([])["std"]) > 0
    assert min(image.fit([np.full((16, 16, 3), 9, np.uint8)])["std"]) > 0


def test_simple_features_are_mean_colours():
    image = Image(ImageConfig(size=32))
    array = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    expected = array.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3)) / 255
    features = image.handcrafted_features([array, None])
    np.testing.assert_allclose(features[0], expected.ravel(), atol=1.01 / 255)
    assert np.isnan(features[1]).all()


# --- recognition -----------------------------------------------------------------------------------------------------


def sample(values, heads=None):
    return Sample(values, heads or [None] * len(values), len(values), len(values))


def test_recognises_files_by_content_even_when_a_few_are_absent():
    head = encode(PIXELS, "PNG")[:64]
    found = Image.recognise(sample(["a.png"] * 248 + ["b.png"] * 8, [head] * 248 + [None] * 8))
    assert found is not None
    assert found.reason == "248 of 256 sampled cells name files that start as PNG"
    assert 0.9 < found.confidence < 1


def test_recognises_bytes_and_arrays():
    heads = [encode(PIXELS, kind)[:64] for kind in ("PNG", "JPEG")]
    bytes_ = Image.recognise(sample(heads, heads))
    arrays = Image.recognise(sample([PIXELS, PIXELS / 255]))
    assert bytes_ is not None
    assert arrays is not None
    assert "hold bytes that start as JPEG or PNG" in bytes_.reason
    assert "arrays of pixels" in arrays.reason


@pytest.mark.parametrize("values", [["a.png", "b.png"], [np.zeros(500)], [1, 2], []])
def test_does_not_recognise(values):
    assert Image.recognise(sample(values)) is None
