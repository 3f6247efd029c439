"""Pictures of which the last bytes are gone are no pictures, even where every pixel could be decoded."""

import io

import numpy as np
import pytest
from PIL import Image

from polymodal.codecs import sniffing as formats
from polymodal.codecs.truncation import check_end
from polymodal.errors import UnreadableCellError


def encode(format_, *, mode="RGB", **options):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 24, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, format_, **options)
    return file.getvalue()


FRAMES = {"save_all": True, "append_images": [Image.new("RGB", (24, 20), "red"), Image.new("RGB", (24, 20))]}
FILES = [
    (formats.PNG, encode("PNG")),
    (formats.PNG, encode("PNG", **FRAMES)),
    (formats.GIF, encode("GIF")),
    (formats.GIF, encode("GIF", mode="L", comment=b"x" * 600)),
]


@pytest.mark.parametrize(("format_", "content"), FILES)
def test_cut_anywhere(format_, content):
    check_end(content, format_, first_frame=True)
    for length in (*range(14, len(content), 37), *range(len(content) - 24, len(content))):
        with pytest.raises(UnreadableCellError, match=f"the {format_.name} file ends too soon"):
            check_end(content[:length], format_, first_frame=True)


def test_behind_the_first_frame_a_gif_may_be_damaged():
    moving = encode("GIF", **FRAMES)
    check_end(moving[:-10], formats.GIF, first_frame=True)
    with pytest.raises(UnreadableCellError, match="ends too soon"):
        check_end(moving[:400], formats.GIF, first_frame=True)
    with pytest.raises(UnreadableCellError, match="ends too soon"):
        check_end(moving[:-10], formats.GIF)


def test_bytes_behind_the_end_and_other_formats():
    for format_, content in FILES:
        check_end(content + b"more", format_, first_frame=True)
    check_end(b"\xff\xd8\xff", formats.JPEG)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_of_which_the_rest_is_zeros(options):
    thumb = encode("JPEG")
    exif = Image.Exif()
    exif[0x9286] = thumb  # a comment, which holds an end of its own
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (120, 124, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", exif=exif, **options)
    content = file.getvalue()
    for padding in (b"", bytes(500), b"more" + bytes(500)):
        check_end(content + padding, formats.JPEG)
    for share in (0.4, 0.6, 0.9):
        kept = content[: round(share * len(content))]
        with pytest.raises(UnreadableCellError, match="zeros"):
            check_end(kept.ljust(len(content), b"\0"), formats.JPEG)


def box(name, size=40):
    return (8 + size).to_bytes(4, "big") + name + b"x" * size


def test_an_mp4_in_fragments_cut_at_any_byte_of_a_header():
    whole = box(b"ftyp") + box(b"moov") + (box(b"moof") + box(b"mdat")) * 2
    for content in (whole, box(b"ftyp") + box(b"mdat") + box(b"moov"), box(b"ftyp") + box(b"moov") + bytes(5)):
        check_end(content, formats.MP4)
    for length in range(len(whole) - 95, len(whole)):
        with pytest.raises(UnreadableCellError, match="truncated"):
            check_end(whole[:length], formats.MP4)
