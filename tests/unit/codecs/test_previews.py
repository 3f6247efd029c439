"""Previews show cells; what the cells hold never becomes more than text, and nothing is large."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import soundfile
from PIL import Image

from polymodal import registry
from polymodal.codecs import previews
from polymodal.modalities.text import Text, TextConfig
from polymodal.testing.rules import check_preview


def content(html: str) -> bytes:
    return base64.b64decode(re.search(r"base64,([^\"]+)", html)[1])


def test_text_is_only_ever_text():
    assert previews.words("</script><b a='\"'>") == (
        '<bdi class="text">&lt;/script&gt;&lt;b a=&#x27;&quot;&#x27;&gt;</bdi>'
    )
    assert previews.escaped("a\x00\u202e\ud800\nb") == "a\\x00\\u202e\\ud800\nb"


def test_long_text_is_cut_with_a_sign():
    shown = re.sub("<[^>]*>", "", previews.words("x" * 1000))
    assert len(shown) == 300 and shown.endswith("…")


def test_a_picture_keeps_its_proportion_and_is_small():
    html = previews.picture(Image.new("RGB", (1000, 500), (200, 30, 30)))
    picture = Image.open(io.BytesIO(content(html)))
    assert picture.size == (160, 80) and 'width="160" height="80"' in html
    assert np.allclose(picture.getpixel((80, 40)), (200, 30, 30), atol=6)


def test_every_pixel_of_a_tiny_picture_is_a_square():
    html = previews.picture(Image.new("RGB", (8, 8)))
    assert Image.open(io.BytesIO(content(html))).size == (8, 8)
    assert 'width="64" height="64"' in html and "pixelated" in html


@pytest.mark.parametrize("seconds", [0.5, 8.0])
def test_a_sound_is_heard_for_at_most_five_seconds(seconds):
    wave = (0.5 * np.sin(np.arange(int(seconds * 16_000)) * 0.1)).astype(np.float32)
    html = previews.sound(wave, 16_000)
    heard, rate = soundfile.read(io.BytesIO(content(html)))
    kept = min(seconds, 5.0)
    assert rate == 16_000 and len(heard) == pytest.approx(kept * rate, abs=64)
    assert np.corrcoef(heard[1_000:7_000], wave[1_000:7_000])[0, 1] > 0.98
    assert f"{seconds:.1f} s" in html and ("first 5 s" in html) == (seconds > 5)


def test_the_contract_refuses_previews_that_write_into_the_page():
    class Careless(Text):
        def preview(self, cell):
            return f"<span>{cell}</span>"

    class Fetching(Text):
        def preview(self, cell):
            return '<img src="https://a.example/p.png">'

    for cls, words in ((Careless, "<b>"), (Fetching, "https")):
        with pytest.raises(AssertionError, match=words):
            check_preview(cls(TextConfig()), ["a cell"])


@pytest.mark.parametrize("name", ["text", "category"])
def test_words_are_shown_as_they_are_read(name):
    cls = registry.load("modalities", name)
    assert "a &lt;b&gt;" in cls(cls.Config()).preview("a <b>")
