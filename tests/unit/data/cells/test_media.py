"""Media cells open only if they are what they say, within limits, and never make us wait."""

import hashlib
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells import media
from polymodal.data.cells.media import open_cell
from polymodal.errors import UnreadableCellError

LIMITS = LimitsConfig(bytes=100, pixels=100)
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def refuses(cell, folder, reason):
    with pytest.raises(UnreadableCellError, match=reason):
        open_cell(cell, folder, LIMITS)


class TestFiles:
    @pytest.mark.parametrize("kind", ["relative", "Path", "absolute", "link"])
    def test_content_hash_and_name(self, tmp_path, kind):
        file = tmp_path / "a b.bin"
        file.write_bytes(b"content")
        cell = {"relative": "a b.bin", "Path": Path("a b.bin"), "absolute": str(file), "link": "link"}[kind]
        if kind == "link":
            (tmp_path / "link").symlink_to(file)
        opened = open_cell(cell, tmp_path, LIMITS)
        assert (opened.content, opened.sha256) == (b"content", hashlib.sha256(b"content").hexdigest())
        assert opened.file == str(tmp_path / cell)

    def test_zero_bytes(self, tmp_path):
        (tmp_path / "empty.png").touch()
        refuses("empty.png", tmp_path, "holds no bytes")

    def test_missing_path(self, tmp_path):
        refuses("nowhere.png", tmp_path, "no such file")
        refuses("nowhere/at/all.png", tmp_path, "no such file")

    def test_folder(self, tmp_path):
        refuses(".", tmp_path, "a folder, not a regular file")

    @posix
    def test_fifo_and_device_do_not_hang(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        refuses("pipe", tmp_path, "a named pipe, not a regular file")
        refuses("/dev/zero", tmp_path, "a device, not a regular file")
        assert media.head("pipe", tmp_path) is None

    @posix
    def test_socket(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # the name of a socket is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
            refuses("socket", tmp_path, "a socket, not a regular file")

    @posix
    def test_a_pipe_put_in_the_place_of_a_file_does_not_hang(self, tmp_path, monkeypatch):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "file").write_bytes(b"content")
        regular = (tmp_path / "file").stat()
        monkeypatch.setattr(os, "stat", lambda path: regular)
        refuses("pipe", tmp_path, "a named pipe")

    def test_too_large_is_refused_unread(self, tmp_path):
        (tmp_path / "large").write_bytes(bytes(100))
        assert len(open_cell("large", tmp_path, LIMITS).content) == 100
        with (tmp_path / "large").open("wb") as file:
            file.truncate(10**12)  # sparse: reading it would need a terabyte
        refuses("large", tmp_path, r"1,000,000,000,000 bytes .* limit of 100 \(limits\.bytes\)")

    @posix
    def test_a_file_that_hides_its_size(self, tmp_path):
        refuses("/proc/self/maps", tmp_path, "holds no bytes")

    @pytest.mark.parametrize(
        ("cell", "reason"),
        [
            ("a\0b", "NUL"),
            ("a" * 10_000, "cannot be opened"),
            ("\ud800", "not valid text"),
            ("https://example.org/a.png", "does not fetch"),
            (" http://example.org/a.png ", "does not fetch"),
            ("s3://bucket/a.png", "does not fetch"),
            ("file://elsewhere/a.png", "no such file: write its path"),
            ("C:\\data\\a.png", "a path of Windows"),
        ],
    )
    def test_paths_that_are_none(self, tmp_path, cell, reason):
        refuses(cell, tmp_path, reason)
        assert media.head(cell, tmp_path) is None

    def test_files_in_messages(self, tmp_path):
        assert media.file_of("a.png", tmp_path) == str(tmp_path / "a.png")
        assert media.file_of("https://example.org/a.png", tmp_path) == "https://example.org/a.png"
        assert media.file_of(b"content", tmp_path) is None

    def test_head(self, tmp_path):
        content = bytes(range(256)) * 8
        (tmp_path / "file").write_bytes(content)
        assert media.head("file", tmp_path) == content[:1_024] == media.head(content, tmp_path)
        assert media.head("nowhere", tmp_path) is None
        assert media.head(3, tmp_path) is None


class TestPathsAsOthersWriteThem:
    """Read as the file, and said; the path as it stands always comes first."""

    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "a b.png").write_bytes(b"content")
        return tmp_path

    @pytest.mark.parametrize(
        "cell",
        ["m/a b.png ", " m/a b.png", "\tm/a b.png\n", "m/a b.png\r", "\u00a0m/a b.png\u2003", "\ufeffm/a b.png\u200b"],
    )
    def test_blanks_around(self, folder, cell):
        opened = open_cell(cell, folder, LIMITS)
        assert (opened.content, opened.file) == (b"content", str(folder / "m/a b.png"))
        assert "blanks" in " ".join(opened.notes)
        assert media.head(cell, folder) == b"content"
        assert media.file_of(cell, folder) == opened.file

    @posix
    @pytest.mark.parametrize("cell", ["m\\a b.png", ".\\m\\a b.png", " m\\a b.png "])
    def test_backslashes(self, folder, cell):
        opened = open_cell(cell, folder, LIMITS)
        assert opened.content == b"content"
        assert "\\" in " ".join(opened.notes)

    def test_file_addresses(self, folder):
        for cell in (
            f"file://{folder}/m/a b.png",
            f"file://localhost{folder}/m/a%20b.png",
            (folder / "m/a b.png").as_uri(),
            "file:m/a b.png",
        ):
            opened = open_cell(cell, folder, LIMITS)
            assert (opened.content, opened.file) == (b"content", str(folder / "m/a b.png"))
            assert "file:" in " ".join(opened.notes)

    @posix
    def test_a_file_of_exactly_that_name_comes_first(self, folder):
        for name in (" m", "m\\a b.png", "a.png "):
            (folder / name).write_bytes(name.encode())
            opened = open_cell(name, folder, LIMITS)
            assert (opened.content, opened.notes) == (name.encode(), ())

    def test_in_lists(self, folder):
        for cell in (["m/a b.png ", " m/a b.png"], '["m/a b.png ", "m/a b.png"]', "['m/a b.png', ' m/a b.png']"):
            opened = open_cell(cell, folder, LIMITS, several=True)
            assert opened.content == (b"content", b"content")
            assert len(opened.notes) == 1

    def test_what_is_not_there_is_named_as_it_stands(self, folder):
        assert media.file_of(" nowhere.png ", folder) == str(folder / " nowhere.png ")
        refuses(" nowhere.png ", folder, "no such file")
        refuses("   ", folder, "no such file|a folder")


class TestMemory:
    def test_bytes(self, tmp_path):
        opened = open_cell(bytearray(b"content"), tmp_path, LIMITS)
        assert (opened.content, opened.file) == (b"content", None)
        refuses(b"", tmp_path, "holds no bytes")
        refuses(bytes(101), tmp_path, "limits.bytes")

    def test_arrays_of_equal_bytes_differ_by_shape_and_type(self, tmp_path):
        arrays = [np.zeros((2, 4), np.uint8), np.zeros((4, 2), np.uint8), np.zeros((2, 4), np.int8)]
        opened = [open_cell(array, tmp_path, LIMITS) for array in arrays]
        assert len({cell.sha256 for cell in opened}) == 3
        assert opened[0].content is arrays[0]
        assert opened[0].sha256 == open_cell(np.zeros((4, 8), np.uint8)[::2, ::2], tmp_path, LIMITS).sha256

    @pytest.mark.parametrize("cell", [3, 1.5, [1, 2], {"path": "a"}, np.array([None])])
    def test_what_is_no_media(self, tmp_path, cell):
        refuses(cell, tmp_path, "expected a path, bytes or an array")

    def test_large_array(self, tmp_path):
        refuses(np.zeros(101, np.uint8), tmp_path, "limits.bytes")


class TestPil:
    @pytest.mark.parametrize(
        ("mode", "colour", "expected"),
        [
            ("L", 7, 7),
            ("1", 1, [255, 255, 255]),
            ("RGB", (1, 2, 3), [1, 2, 3]),
            ("RGBA", (1, 2, 3, 4), [1, 2, 3, 4]),
            ("LA", (9, 4), [9, 9, 9, 4]),
            ("CMYK", (255, 0, 0, 0), [0, 255, 255]),
            ("I;16", 40_000, 40_000),
            ("I", 40_000, 40_000),
            ("F", 0.5, 0.5),
        ],
    )
    def test_modes(self, tmp_path, mode, colour, expected):
        array = open_cell(Image.new(mode, (2, 1), colour), tmp_path, LIMITS).content
        np.testing.assert_array_equal(array[0, 1], expected)
        assert array.shape[:2] == (1, 2)

    @pytest.mark.parametrize("colour", [-1, 65_536])
    def test_pixels_of_more_than_16_bits_are_not_clipped(self, tmp_path, colour):
        refuses(Image.new("I", (2, 1), colour), tmp_path, "^pixels outside 0 to 65535")

    def test_palette(self, tmp_path):
        picture = Image.new("P", (1, 1), 1)
        picture.putpalette([0, 0, 0, 10, 20, 30])
        np.testing.assert_array_equal(open_cell(picture, tmp_path, LIMITS).content[0, 0], [10, 20, 30])
        picture.info["transparency"] = 1
        np.testing.assert_array_equal(open_cell(picture, tmp_path, LIMITS).content[0, 0], [10, 20, 30, 0])

    def test_a_transparent_colour(self, tmp_path):
        for mode, colour, expected in (("L", 7, [7, 7, 7, 0]), ("RGB", (1, 2, 3), [1, 2, 3, 0])):
            picture = Image.new(mode, (1, 1), colour)
            picture.info["transparency"] = colour
            np.testing.assert_array_equal(open_cell(picture, tmp_path, LIMITS).content[0, 0], expected)

    def test_upright(self, tmp_path):
        picture = Image.fromarray(np.array([[1, 2, 3]], np.uint8))
        picture.getexif()[0x0112] = 6  # turn by 90 degrees clockwise to view
        np.testing.assert_array_equal(open_cell(picture, tmp_path, LIMITS).content, [[1], [2], [3]])

    def test_too_many_pixels_are_refused_undecoded(self, tmp_path):
        refuses(Image.new("1", (101, 1)), tmp_path, r"101 pixels .*\(limits\.pixels\)")

    def test_truncated(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (10, 10, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / "a.png")
        (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
        with Image.open(tmp_path / "a.png") as picture:
            refuses(picture, tmp_path, "not a readable image")


class TestLists:
    LISTED = (
        (["a", "b"], ["a", "b"]),
        (("a", b"b", None), ["a", b"b"]),
        ('["a", "b|c"]', ["a", "b|c"]),
        ("a|b; c ;", ["a", "b", "c"]),
        ("[]", []),
        ("a", None),
        ("[a, b]", None),
        ("[1, 2]", None),
        (b"a|b", None),
        (1.0, None),
    )

    @pytest.mark.parametrize(("cell", "expected"), LISTED)
    def test_members(self, cell, expected):
        assert media.members(cell) == expected

    def test_content_is_that_of_each_and_the_hash_is_of_all_in_order(self, tmp_path):
        for name in "ab":
            (tmp_path / name).write_bytes(name.encode())
        opened = open_cell("a|b", tmp_path, LIMITS, several=True)
        assert (opened.content, opened.file) == ((b"a", b"b"), None)
        assert opened.sha256 == open_cell(["a", b"b"], tmp_path, LIMITS, several=True).sha256
        assert opened.sha256 != open_cell("b|a", tmp_path, LIMITS, several=True).sha256
        assert opened.sha256 != open_cell(b"ab", tmp_path, LIMITS, several=True).sha256
        refuses("a|b", tmp_path, "no such file")  # unless asked for, a text is the name of one file

    def test_the_member_that_cannot_be_opened_is_told(self, tmp_path):
        (tmp_path / "a").write_bytes(b"a")
        with pytest.raises(UnreadableCellError, match="picture 2 of 3: an address") as caught:
            open_cell("a|http://b|c", tmp_path, LIMITS, several=True)
        assert caught.value.member == 1

    def test_too_many_are_refused(self, tmp_path):
        with pytest.raises(UnreadableCellError, match="lists 10,001 media"):
            open_cell([b"a"] * 10_001, tmp_path, LIMITS, several=True)

    def test_heads_are_of_the_first_few(self, tmp_path):
        (tmp_path / "a").write_bytes(b"a" * 5_000)
        assert media.heads("a|nowhere|a|a", tmp_path) == [b"a" * 1_024, None, b"a" * 1_024]
        assert media.heads("a", tmp_path) == []
