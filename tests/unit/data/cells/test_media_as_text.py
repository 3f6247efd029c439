"""Media that cells hold as text are known by what they decode to; any other text is none."""

import base64
import hashlib
import json
import re
from urllib.parse import quote_from_bytes

import numpy as np
import pytest

from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells import media
from polymodal.data.cells.media import open_cell
from polymodal.errors import UnreadableCellError

PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc\xf8\x0f\0\1\1\1\0\x1b\xb6\xeeV"
    b"\0\0\0\0IEND\xaeB`\x82"
)
IN_BASE64 = base64.b64encode(PNG).decode()
AS_TEXT = {
    "base64": IN_BASE64,
    "base64 without padding": IN_BASE64.rstrip("="),
    "base64 with line breaks": base64.encodebytes(PNG).decode().replace("\n", "\r\n"),
    "base64 between blanks": f"  {IN_BASE64}\n",
    "base64 as JSON writes it": json.dumps(IN_BASE64).replace("/", "\\/"),
    "URL-safe base64": base64.urlsafe_b64encode(PNG).decode(),
    "a data: URL": f"data:image/png;base64,{IN_BASE64}",
    "a data: URL with parameters": f"data:image/png;name=a;BASE64,{IN_BASE64}",
    "a data: URL with escapes": "data:image/png;base64," + IN_BASE64.replace("=", "%3D").replace("+", "%2B"),
    "a data: URL without base64": "data:image/png," + quote_from_bytes(PNG),
    "repr": repr(PNG),
    "repr with the other quote": repr(PNG + b"'"),
    "base64 that was printed": repr(base64.b64encode(PNG)),
    "a dict that was printed": repr({"bytes": PNG, "path": None}),
    "a dict, its path first": repr({"path": "a's/0.png", "bytes": PNG}),
    "a dict that was printed with the other quote": repr({"bytes": PNG + b"'", "path": "0.png"}),
    "a dict as JSON": json.dumps({"bytes": IN_BASE64, "path": None}),
    "a dict as JSON, alone": json.dumps({"bytes": IN_BASE64}),
    "a list of numbers": repr(list(PNG)),
    "a list of numbers as JSON": json.dumps(list(PNG), separators=(",", ":")),
    "digits": PNG.hex(),
    "digits of SQL": f"0x{PNG.hex().upper()}",
    "digits of PostgreSQL": f"\\x{PNG.hex()}",
}


class TestText:
    """Media that cells hold as text are known by what they decode to."""

    LIMITS = LimitsConfig(bytes=1_000)

    @pytest.mark.parametrize("name", AS_TEXT)
    def test_bytes_written_as_text(self, tmp_path, name):
        opened = open_cell(AS_TEXT[name], tmp_path, self.LIMITS)
        expected = PNG + b"'" if "other quote" in name else PNG
        assert (opened.content, opened.file) == (expected, None)
        assert opened.sha256 == hashlib.sha256(expected).hexdigest()
        assert media.head(AS_TEXT[name], tmp_path)[:8] == PNG[:8]
        assert media.file_of(AS_TEXT[name], tmp_path) is None

    @pytest.mark.parametrize("size", range(500, 520))
    def test_base64_with_blanks_in_the_place_of_pluses_or_line_ends(self, tmp_path, size):
        content = PNG + bytes(np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)) + b"."
        text = base64.b64encode(content).decode()
        assert "+" in text
        for cell in (
            text.replace("+", " "),
            text.replace("+", " ").rstrip("="),
            base64.encodebytes(content).decode().replace("\n", " "),
        ):
            assert media.head(cell, tmp_path)[:8] == PNG[:8]
            assert open_cell(cell, tmp_path, self.LIMITS).content == content

    def test_a_dict_with_a_path_alone_names_a_file(self, tmp_path):
        (tmp_path / "a.png").write_bytes(PNG)
        for cell in ("{'bytes': None, 'path': 'a.png'}", '{"path": "a.png", "bytes": null}', '{"path": "a.png"}'):
            opened = open_cell(cell, tmp_path, self.LIMITS)
            assert (opened.content, opened.file) == (PNG, str(tmp_path / "a.png")) and opened.notes

    @pytest.mark.parametrize("name", [name for name in AS_TEXT if not re.search("quote|repr|print|dict|list", name)])
    def test_too_large_is_refused_undecoded(self, tmp_path, name, monkeypatch):
        start = {"data:image/png,": "%89PNG%0D%0A%1A%0A%00%00%00%0DIHDR"}.get(AS_TEXT[name][:15], AS_TEXT[name].strip())
        huge = start.rstrip("=").replace("%3D", "") + "A0" * 2_000_000
        monkeypatch.setattr(base64, "b64decode", lambda *args: pytest.fail("decoded") if len(args[0]) > 9_000 else b"")
        with pytest.raises(UnreadableCellError, match=r"limits\.bytes|no such file|cannot be opened"):
            open_cell(huge, tmp_path, self.LIMITS)

    def test_damage(self, tmp_path):
        for text in (IN_BASE64[:60] + "?" + IN_BASE64[60:], repr(PNG)[:-1], f"data:image/png;base64,{IN_BASE64[:61]}!"):
            with pytest.raises(UnreadableCellError):
                open_cell(text, tmp_path, self.LIMITS)

    @pytest.mark.parametrize(
        "text",
        [
            "iVBORw0KGgo",
            "/9j/4AAQSkZJRgABAQAAAQABAAD",
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
            "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft",
            "https://example.org/a/very/long/address/of/some/page/that/goes/on/and/on/forever",
            "d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204e9800998ecf8427e",
            "//Everything that begins with two strokes is a remark in some languages",
            "b'just some words'",
            "data is what we have: a lot of it, and more",
            base64.b64encode(b"just some words, many of them, one after the other").decode(),
            "ACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGT",
            "0x" + "0" * 64,
            "iVBORw0KGgo is how a PNG begins in base64 and that is how it goes on and on",
            "{'bytes': 3, 'path': None, 'and': 'more of it, as long as it takes to be long'}",
            '{"bytes": "many", "path": "the long way round, over the hills and far away"}',
            repr([255, 243, 100, 7] * 20),
            repr(list(range(137, 200))),
            repr([137, 80, 78, 71, 13, 10, 26, 10, 300] * 5),
            "GIF89a is a format of pictures, and BMP is another, and so on and on",
        ],
    )
    def test_other_text_holds_no_media(self, tmp_path, text):
        assert media.head(text, tmp_path) is None
        with pytest.raises(UnreadableCellError, match=r"no such file|does not fetch|cannot be opened"):
            open_cell(text, tmp_path, self.LIMITS)

    def test_a_file_may_be_named_as_base64_begins(self, tmp_path):
        (tmp_path / "iVBORw0KGgo").write_bytes(b"content")
        assert open_cell("iVBORw0KGgo", tmp_path, self.LIMITS).content == b"content"

    def test_several_in_a_cell(self, tmp_path):
        url = f"data:image/png;base64,{IN_BASE64}"
        for cell in (
            [url, IN_BASE64],
            json.dumps([url, IN_BASE64]),
            f"{url}|{url}",
            f"{url};{url}",
            f"{IN_BASE64}|{IN_BASE64}",
            repr([PNG, PNG]),
        ):
            assert open_cell(cell, tmp_path, self.LIMITS, several=True).content == (PNG, PNG)
            assert [head[:8] for head in media.heads(cell, tmp_path)] == [PNG[:8]] * 2
        for cell in (url, IN_BASE64, repr(PNG), repr(PNG + b"|;")):
            assert media.members(cell) is None
