"""Cells as small pieces of HTML for reports: escaped, and holding all that they show.

What the data hold can only show: every text goes through `escaped`, every picture and sound is encoded anew.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as Pillow

LONGEST_TEXT = 300  # characters
LARGEST_SIDE = 160  # pixels
_SMALLEST_SIDE = 64
LONGEST_SOUND = 5.0  # seconds

_BLOCK = 1 << 14  # samples: libsndfile's Vorbis encoder may exhaust its stack on more at once


def escaped(text: str) -> str:
    r"""Text that is only ever text in HTML: markup by entities; control characters and lone surrogates as escapes.

    >>> escaped("</script><b>\x00")
    '&lt;/script&gt;&lt;b&gt;\\x00'
    """
    kept = "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
    return html.escape(kept)


def words(text: str) -> str:
    """A text's first 300 characters, set apart so that its direction of writing stays its own."""
    shown = text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
    return f'<bdi class="text">{escaped(shown)}</bdi>'


def figure(value: float) -> str:
    """A number to six digits, or as many as stand before its point.

    >>> figure(3.0), figure(1234567.0), figure(0.1234567)
    ('<span class="number">3</span>', '<span class="number">1234567</span>', '<span class="number">0.123457</span>')
    """
    plain = 1e-6 <= abs(value) < 1e15  # else a power of ten
    digits = max(6, len(f"{abs(value):.0f}")) if plain else 6
    return f'<span class="number">{value + 0.0:.{digits}g}</span>'


def picture(image: Pillow.Image, *, note: str = "") -> str:
    """An RGB picture of at most 160 pixels a side, as JPEG; a strip of several may be three times as wide.

    Where it cannot be seen, `note` says what it is.
    """
    small = image.copy()
    strip = image.width >= 3 * image.height
    small.thumbnail((3 * LARGEST_SIDE if strip else LARGEST_SIDE, LARGEST_SIDE))
    larger = max(1, _SMALLEST_SIDE // max(small.size))  # of a tiny picture every pixel is shown as a square
    width, height = (side * larger for side in small.size)
    style = ' style="image-rendering:pixelated"' if larger > 1 else ""
    return f'<img width="{width}" height="{height}"{style} alt="{escaped(note)}" src="{jpeg(small)}">'


def jpeg(image: Pillow.Image) -> str:
    """The address of a picture as JPEG, which holds it."""
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=82)
    return data_uri("image/jpeg", file.getvalue())


def strip(pictures: Sequence[UInt8[np.ndarray, "H W 3"]], *, note: str) -> str:
    """Pictures of one height, from left to right; `note` as for one picture."""
    return picture(Pillow.fromarray(np.concatenate(pictures, axis=1)), note=note)


def sound(samples: Float[np.ndarray, " S"], rate: int) -> str:
    """A player for the first 5 seconds of one channel in [-1, 1], as Ogg Vorbis."""
    import soundfile

    kept = samples[: int(LONGEST_SOUND * rate)]
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 1, format="OGG", subtype="VORBIS") as writer:
        for start in range(0, len(kept), _BLOCK):
            writer.write(kept[start : start + _BLOCK])
    seconds = len(samples) / rate
    cut = f" (the first {LONGEST_SOUND:g} s)" if seconds > LONGEST_SOUND else ""
    source = data_uri("audio/ogg", file.getvalue())
    return f'<audio controls preload="metadata" src="{source}"></audio><small>{seconds:.1f} s{cut}</small>'


def data_uri(media_type: str, content: bytes) -> str:
    """Content as an address that needs no file: `data:image/png;base64,...`."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
