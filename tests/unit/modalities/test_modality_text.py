from __future__ import annotations

import datetime
import json
import unicodedata
import zlib

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from polymodal.errors import ConfigError, UnreadableCellError
from polymodal.modalities.text import Text, TextConfig
from polymodal.protocols import Sample
from polymodal.testing import check_modality

SENTENCES = ["The cat sat on the mat.", "The dog sat on the log!", "A cat and a dog: friends.", "Der Hund heißt Otto."]


def read(cell, **settings):
    return Text(TextConfig(**settings)).read(cell)


def decoded(cell, **settings):
    return read(cell, **settings).tobytes().decode()


def fitted(cells=SENTENCES, **settings):
    config = TextConfig(**settings)
    statistics = Text(config).fit([read(cell, **settings) for cell in cells])
    return Text(config, json.loads(json.dumps(statistics)))


def word_level(tmp_path, *, normalizer=None, pre_tokenizer=None, edit=None):
    """A tokenizer file of five words, with the marks of a BERT."""
    words = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[PAD]": 3, "cat": 4, "dog": 5}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizer or pre_tokenizers.Whitespace()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_padding(pad_id=3, pad_token="[PAD]", length=128)
    parts = json.loads(tokenizer.to_str())
    if edit is not None:
        edit(parts)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(parts))
    return str(path)


@pytest.mark.parametrize(
    "text", ["a\0b", "שלום \u202eabc", "👩‍👩‍👧 family", "naïve", "漢字かな", "\ufeffmark", "line\nline\ttab"]
)
def test_text_round_trip(text):
    assert decoded(text) == unicodedata.normalize("NFC", text)
    text_column = fitted([*SENTENCES, text])
    assert text_column.collate([text_column.read(text)]).lengths.item() >= 1


def test_documented_normalisation():
    assert decoded("e\u0301") == decoded("\u00e9") == "\u00e9"
    assert decoded("a\ud800b") == "a\ufffdb"
    assert decoded("\udc00\ud800") == "\ufffd\ufffd"
    assert decoded("\ud83d\ude00") == "😀"


@pytest.mark.parametrize("cell", ["", " ", "\n\t\u00a0 "])
def test_blank_is_missing(cell):
    text = fitted()
    cells = text.collate([text.read(cell), text.read("cat")])
    assert cells.lengths[0] == 0
    assert cells.lengths[1] > 0
    assert text.handcrafted_features([text.read(cell)]).nnz == 0


def test_ten_megabytes_are_cut_and_counted():
    huge = "word " * 2_000_000
    assert len(decoded(huge)) == 20_000
    text = Text(TextConfig(max_tokens=16))
    statistics = text.fit([text.read(cell) for cell in (huge, "short")])
    assert statistics["truncated"] == 1
    assert Text(text.config, statistics).collate([text.read(huge)]).lengths.item() == 16


@pytest.mark.parametrize(
    ("cell", "expected"),
    [(5, "5"), (1.5, "1.5"), (True, "True"), (np.int8(3), "3"), (datetime.date(2026, 1, 2), "2026-01-02")],
)
def test_numbers_and_dates_are_printed(cell, expected):
    assert decoded(cell) == expected


@pytest.mark.parametrize(
    "cell", [["a", 1], {"a": 1}, b"a", np.array([1.5]), object(), pytest.param(10**5_000, id="digits")]
)
def test_other_cells_become_rejects(cell):
    with pytest.raises(UnreadableCellError, match="not a text"):
        read(cell)


def test_tokens_are_left_aligned_and_padded():
    text = fitted()
    cells = text.collate([text.read("cat"), None, text.read("the cat sat")])
    assert cells.values.dtype.is_signed
    assert cells.lengths.tolist() == [1, 0, 3]
    assert cells.values.shape == (3, 3)
    assert (cells.values[0, 1:] == text.padding_id).all()
    assert (cells.values[1] == text.padding_id).all()
    assert cells.values.max() < text.vocabulary_size


def test_frequent_words_become_one_token_rare_letters_the_unknown_one():
    text = fitted()
    assert text.collate([text.read("cat")]).lengths.item() == 1
    unknown = text.collate([text.read("漢")])
    assert unknown.values.tolist() == [[1]]
    assert text.padding_id == 0


def test_case_is_one_unless_asked_for():
    text = fitted()
    assert text.collate([text.read("CAT"), text.read("cat")]).values.unique(dim=0).shape[0] == 1
    cased = fitted(lowercase=False)
    assert cased.collate([cased.read("CAT"), cased.read("cat")]).values.unique(dim=0).shape[0] == 2


def test_the_same_texts_give_the_same_vocabulary_even_among_thousands_of_rare_letters():
    letters = [chr(0x4E00 + i) for i in range(3_000)]
    texts = ["".join(letters[i::10]) for i in range(10)] + SENTENCES
    tokenizers = {fitted(texts, vocabulary_size=200)._statistics["tokenizer"] for _ in range(4)}
    assert len(tokenizers) == 1
    assert fitted(texts, vocabulary_size=200).vocabulary_size <= 200


def test_no_training_text_at_all():
    text = fitted([])
    assert text.collate([text.read("cat")]).lengths.tolist() == [1]


def test_a_batch_without_any_text():
    cells = fitted().collate([None, None])
    assert cells.values.shape == (2, 1)
    assert cells.lengths.tolist() == [0, 0]


def test_tokenizer_file_is_copied_and_never_opened_again(tmp_path):
    path = word_level(tmp_path)
    text = fitted(["cat dog"], tokenizer=path)
    (tmp_path / "tokenizer.json").unlink()
    cells = text.collate([text.read("cat dog cow"), text.read("dog")])
    assert cells.values.tolist() == [[1, 4, 5, 0, 2], [1, 5, 2, 3, 3]]  # as given to WordLevel by hand
    assert cells.lengths.tolist() == [5, 3]
    assert text.padding_id == 3
    assert text.vocabulary_size == 6


def test_file_without_tokens_for_a_text_gives_the_unknown_one(tmp_path):
    path = word_level(tmp_path, edit=lambda parts: parts.update(post_processor=None, normalizer={
        "type": "Replace", "pattern": {"String": "cat"}, "content": ""}))  # fmt: skip
    text = fitted(["dog"], tokenizer=path)
    assert text.collate([text.read("cat")]).values.tolist() == [[0]]


def nested_split(parts):
    split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    parts["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, split]}


def untagged_replace(parts):
    parts["normalizer"] = {"pattern": {"Regex": "(a+)+$"}, "content": "b"}


def unknown_part(parts):
    parts["pre_tokenizer"] = {"type": "Custom"}


@pytest.mark.parametrize(
    ("edit", "message"),
    [(nested_split, "regular expression"), (untagged_replace, "regular expression"), (unknown_part, "'Custom'"),
     (lambda parts: parts.pop("model"), "no model"), (lambda parts: parts["model"].pop("type"), "type"),
     (lambda parts: parts["model"].update(type="Evil"), "'Evil'"), (lambda parts: parts["model"].pop("vocab"), "file")],
)  # fmt: skip
def test_what_a_tokenizer_file_must_not_hold(tmp_path, edit, message):
    with pytest.raises(ConfigError, match=message):
        fitted(tokenizer=word_level(tmp_path, edit=edit))


def test_regular_expressions_as_the_library_writes_them(tmp_path):
    with pytest.raises(ConfigError, match="regular expression"):
        fitted(tokenizer=word_level(tmp_path, normalizer=normalizers.Replace(Regex("a+"), "b")))
    with pytest.raises(ConfigError, match="regular expression"):
        fitted(tokenizer=word_level(tmp_path, pre_tokenizer=pre_tokenizers.Split(Regex("a+"), "isolated")))


def test_a_duplicate_key_hides_nothing(tmp_path):
    path = word_level(tmp_path)
    text = (tmp_path / "tokenizer.json").read_text()
    evil = '{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Isolated", "invert": false},'
    (tmp_path / "tokenizer.json").write_text(evil + text[1:])
    assert "Regex" not in fitted(tokenizer=path)._statistics["tokenizer"]


def test_statistics_are_checked_as_a_file_is(tmp_path):
    text = fitted()
    parts = json.loads(text._statistics["tokenizer"])
    untagged_replace(parts)
    with pytest.raises(ConfigError, match="regular expression"):
        Text(TextConfig(), {"tokenizer": json.dumps(parts), "padding_id": 0}).collate([read("cat")])


@pytest.mark.parametrize(
    "content", ["", "[]", "{", pytest.param("[" * 100_000, id="deep"), "\ud800".encode("utf-8", "surrogatepass")]
)
def test_not_a_tokenizer_file(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=r"tokenizer\.json"):
        fitted(tokenizer=str(path))


def test_max_tokens_must_leave_room_beside_the_marks(tmp_path):
    path = word_level(tmp_path)
    with pytest.raises(ConfigError, match="max_tokens = 2"):
        fitted(tokenizer=path, max_tokens=2).collate([read("cat")])
    text = fitted(tokenizer=path, max_tokens=3)
    assert text.collate([read("cat dog cat")]).values.tolist() == [[1, 4, 2]]


def test_absent_tokenizer_file(tmp_path):
    with pytest.raises(ConfigError, match="Cannot read the tokenizer"):
        fitted(tokenizer=str(tmp_path / "none.json"))


def test_random_merges_of_a_file_are_switched_off(tmp_path):
    text = fitted()
    parts = json.loads(text._statistics["tokenizer"])
    parts["model"]["dropout"] = 0.9
    noisy = Text(TextConfig(), {"tokenizer": json.dumps(parts), "padding_id": 0})
    whole = text.collate([read(SENTENCES[0])]).values
    assert all((noisy.collate([read(SENTENCES[0])]).values.shape == whole.shape) for _ in range(20))


def test_token_dropout_leaves_out_words_but_never_all():
    text = Text(TextConfig(token_dropout=0.5))
    array = text.read("one two three four five six seven eight")
    words = array.tobytes().split()
    sizes = []
    for seed in range(200):
        kept = text.augment(array, np.random.default_rng(seed)).tobytes().split()
        assert kept
        assert [word for word in words if word in kept] == kept
        sizes.append(len(kept))
    assert np.mean(sizes) == pytest.approx(4, abs=0.4)
    single = Text(TextConfig(token_dropout=0.99)).augment(text.read("one"), np.random.default_rng(0))
    assert single.tobytes() == b"one"


def test_augment_is_decided_by_its_generator():
    text, array = Text(TextConfig(token_dropout=0.5)), read("a b c d e f g h")
    twice = [text.augment(array, np.random.default_rng(3)).tobytes() for _ in range(2)]
    assert twice[0] == twice[1]


def test_simple_features_have_length_one_and_know_words():
    text = Text(TextConfig())
    features = text.handcrafted_features([text.read("red cat"), text.read("cat red"), text.read("blue sky"), None])
    assert features.shape == (4, 16_384)
    norms = np.sqrt(features.multiply(features).sum(axis=1)).ravel()
    np.testing.assert_allclose(norms, [[1, 1, 1, 0]], atol=1e-6)
    similar = (features @ features.T).toarray()
    assert similar[0, 1] > 0.9 > 0.2 > similar[0, 2]


def sample(values, heads=None):
    return Sample(values, heads or [None] * len(values), len(set(map(str, values))), len(values))


def test_a_list_of_texts_is_one_text_with_a_line_for_each():
    assert decoded(["hello", "is it red?"]) == "hello\nis it red?"
    assert decoded(("no",)) == "no"
    assert read([]).size == 0
    assert decoded(np.array(["a", "b"], dtype=object)) == "a\nb"
    with pytest.raises(UnreadableCellError):
        read(["a", 1])
    found = Text.recognise(sample([["hello", "you"], ["is it red?"], []]))
    assert found is not None
    assert Text.recognise(sample([[1.0, 2.0], [3.0, 4.0]])) is None


def test_recognises_sentences_more_surely_than_words():
    long = Text.recognise(sample(["a sentence of more than five words", "another one, as long as that"]))
    short = Text.recognise(sample(["red cat", "blue sky"]))
    bare = Text.recognise(sample(["2026-01-02", "2026-01-03"]))
    assert long is not None
    assert short is not None
    assert bare is not None
    assert long.confidence > short.confidence > bare.confidence
    assert "2 of 2" in long.reason


@pytest.mark.parametrize("values", [[1, 2], [], [b"abc"], ["a", b"b", b"c"]])
def test_does_not_recognise(values):
    assert Text.recognise(sample(values)) is None


def test_names_of_files_are_no_text():
    assert Text.recognise(sample(["a.mp4", "b.mp4"], [b"\0\0\0\x20ftyp"] * 2)) is None


def test_letters_hash_each_word_and_its_groups():
    text = fitted(tokenizer="character_ngrams", vocabulary_size=100)
    cells = text.collate([text.read("Ab"), None, text.read("!")])
    groups = [" ab ", " a", "ab", "b ", " ab", "ab ", " ab "]
    assert cells.values[0].tolist() == [1 + zlib.crc32(group.encode()) % 100 for group in groups]
    assert cells.lengths.tolist() == [7, 0, 4]
    assert text.vocabulary_size == 101
    assert text.padding_id == 0


def test_letters_know_a_word_that_training_never_met():
    text = fitted(tokenizer="character_ngrams")
    new, old = (set(text.collate([text.read(word)]).values[0].tolist()) for word in ("unfriendly", "friends"))
    assert len(new & old) >= 10


def test_letters_are_cut_to_the_most_tokens_and_counted():
    text = Text(TextConfig(tokenizer="character_ngrams", max_tokens=7))
    statistics = text.fit([text.read("ab"), text.read("abc")])
    assert (statistics["tokenizer"], statistics["truncated"]) == ("character_ngrams", 1)
    assert Text(text.config, statistics).collate([text.read("abc")]).lengths.item() == 7


def test_a_piece_is_the_rarer_the_fewer_texts_hold_it_and_none_is_where_they_were_not_counted():
    text = Text(TextConfig(tokenizer="character_ngrams"))
    statistics = text.fit([text.read(cell) for cell in ("sun sun", "sun", "dog")])
    counted, plain = Text(text.config, statistics), Text(text.config, {"tokenizer": "character_ngrams"})
    sun, dog, cat = (counted.collate([text.read(word)]).values[0, 0].item() for word in ("sun", "dog", "cat"))
    rarity = np.log(4 / (1 + np.array([2, 1, 0]))) + 1
    np.testing.assert_allclose(counted.rarity[[sun, dog, cat]], rarity)
    assert (plain.rarity == 1).all()


def test_whole_words_are_those_of_the_training_rows_the_frequent_ones_first():
    text = fitted(["The cat; the dog.", "the end"], tokenizer="words")
    assert text.words == ("the", ".", ";", "cat", "dog", "end")
    assert (text.unknown_id, text.vocabulary_size, text.padding_id) == (1, 8, 0)
    cells = text.collate([text.read("The mouse; a dog"), text.read("...")])
    assert cells.values.tolist() == [[2, 1, 4, 1, 6], [3, 3, 3, 0, 0]]
    assert cells.lengths.tolist() == [5, 3]


def test_whole_words_keep_their_case_where_it_counts():
    text = fitted(["The cat", "the dog"], tokenizer="words", lowercase=False)
    assert set(text.words) == {"The", "the", "cat", "dog"}


def test_other_tokenizers_have_no_words():
    assert fitted(tokenizer="character_ngrams").words is None
    assert fitted(tokenizer="character_ngrams").unknown_id is None


def test_whole_words_keep_the_contract():
    check_modality("text", settings={"tokenizer": "words", "vocabulary_size": 16, "max_tokens": 4})
