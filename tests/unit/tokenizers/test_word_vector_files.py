"""Files of word vectors in all their forms, against a naive reader, and what damage does to them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from polymodal.errors import ConfigError
from polymodal.tokenizers import word_vectors

WORDS = ["the", "naïve", "don't", "犬", "</s>", "a b"]
VALUES = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)
FORMS = ["glove", "word2vec text", "word2vec binary", "word2vec binary with line feeds", "fastText"]


def write(path: Path, form: str, words=WORDS, values=VALUES) -> Path:
    header = f"{len(words)} {values.shape[1]}\n".encode() if form != "glove" else b""
    if "binary" in form:
        between = b"\n" if "line feeds" in form else b""
        records = [w.encode() + b" " + struct.pack(f"<{len(v)}f", *v) for w, v in zip(words, values, strict=True)]
        path.write_bytes(header + b"".join(record + between for record in records))
    else:
        end = " \n" if form == "fastText" else "\n"
        rows = [f"{w} {' '.join(map(repr, v.tolist()))}{end}" for w, v in zip(words, values, strict=True)]
        path.write_bytes(header + "".join(rows).encode())
    return path


def naive(path: Path, form: str) -> dict[str, list[float]]:
    """Reads everything, byte by byte or line by line."""
    data = path.read_bytes()
    found = {}
    if "binary" in form:
        head, _, rest = data.partition(b"\n")
        count, width = map(int, head.split())
        for _ in range(count):
            word = b""
            while not word.endswith(b" "):
                word, rest = word + rest[:1], rest[1:]
                if word == b"\n" or (word.endswith(b" ") and word[:-1] == b"a"):  # of our words one holds a blank
                    word = b"" if word == b"\n" else word + rest[:2]
                    rest = rest if not word else rest[2:]
            found[word[:-1].decode()] = list(struct.unpack(f"<{width}f", rest[: 4 * width]))
            rest = rest[4 * width :]
        return found
    for line in data.decode().splitlines()[0 if form == "glove" else 1 :]:
        fields = line.rstrip(" ").split(" ")
        found[" ".join(fields[:-5])] = [float(field) for field in fields[-5:]]
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_what_a_naive_reader_gives(tmp_path, form):
    words, values = (WORDS, VALUES) if "binary" not in form else (WORDS[:-1], VALUES[:-1])  # a blank ends a name there
    path = write(tmp_path / "vectors", form, words, values)
    everything = naive(path, form)
    assert list(everything) == words
    asked = ["dog", *reversed(words)]
    found = word_vectors.read(path, asked)
    assert sorted(found.words) == list(range(1, len(asked)))
    assert found.width == 5
    for place, vector in zip(found.words, found.values, strict=True):
        np.testing.assert_array_equal(vector, np.float32(everything[asked[place]]))


@pytest.mark.parametrize("form", FORMS)
def test_only_wanted_words_are_kept_and_of_equals_the_first(tmp_path, form):
    path = write(tmp_path / "vectors", form, ["x", "y", "x"], VALUES[:3])
    found = word_vectors.read(path, ["x"])
    assert found.words == [0]
    np.testing.assert_allclose(found.values, VALUES[:1], rtol=1e-6)


def test_a_text_file_without_a_line_feed_at_its_end(tmp_path):
    path = write(tmp_path / "vectors", "glove")
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert len(word_vectors.read(path, WORDS).words) == len(WORDS)


def test_none_of_the_words(tmp_path):
    found = word_vectors.read(write(tmp_path / "vectors", "glove"), ["dog"])
    assert (found.words, found.values.shape) == ([], (0, 5))


@pytest.mark.parametrize(
    ("form", "damage", "words"),
    [
        ("glove", lambda data: b"", "the file is empty"),
        ("glove", lambda data: b"PK\x03\x04" + data, "is a ZIP archive"),
        ("glove", lambda data: b"\x1f\x8b" + data, "packed with gzip"),
        ("glove", lambda data: b"\x80\x04" + data, "is a pickle"),
        ("glove", lambda data: b"word\n" + data, "line 1 is no word with its numbers"),
        ("glove", lambda data: data[:-60], "line 6: .* fields; expected a word and 5 numbers"),
        ("glove", lambda data: data.replace(b"\nna", b"\nnew 1 2\nna", 1), "line 2: 3 fields"),
        ("glove", lambda data: b"the x1 2 3 4 5\n" + data, "line 1: could not convert.*expected 5 numbers"),
        ("glove", lambda data: b"the nan 2 3 4 5\n" + data, "line 1: a number is NaN"),
        ("glove", lambda data: b"the 1 2 3 4 1e39\n" + data, "line 1: a number is NaN, infinite or beyond"),
        ("glove", lambda data: data + b"w" * 400_000, "line 7: it has more than"),
        ("word2vec text", lambda data: data.rsplit(b"\n", 2)[0] + b"\n", "announces 6 vectors, it holds 5"),
        ("word2vec text", lambda data: b"999999999999 300\n" + data[4:], "too few: it is cut short"),
        ("word2vec text", lambda data: b"2 0\n" + data[4:], "line 1: vectors of 0 numbers"),
        ("word2vec text", lambda data: b"2 20000\n" + data[4:], "line 1: vectors of 20000 numbers"),
        ("word2vec binary", lambda data: data[:-3], "byte 1[0-9]+: 17 bytes are left of a vector of 20"),
        ("word2vec binary", lambda data: data + b"abc", "byte [0-9]+: no word of at most"),
        ("word2vec binary", lambda data: data + data[4:28], "announces 5 vectors, it holds 6"),
        ("word2vec binary", lambda data: b"9" + data[1:], "announces 9 vectors, it holds 5"),
        (
            "word2vec binary",
            lambda data: data.replace(b"the " + VALUES[0].tobytes()[:4], b"the \0\0\xc0\x7f"),
            "byte 8",
        ),
    ],
)
def test_a_damaged_file_is_refused_with_its_line_or_byte(tmp_path, form, damage, words):
    few = slice(0, 5 if "binary" in form else 6)
    path = write(tmp_path / "vectors", form, WORDS[few], VALUES[few])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConfigError, match=words) as caught:
        word_vectors.read(path, WORDS)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["absent", "."])
def test_what_is_no_file_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match="There is no file of word vectors"):
        word_vectors.read(tmp_path / name, WORDS)
