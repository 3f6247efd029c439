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
