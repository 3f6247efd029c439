"""Texts become pieces and the same texts again, whatever was learned from."""

import pytest

from polymodal.tokenizers.reversible import Reversible, learn

LEARNED = ["the red cat", "the red dog", "a cat, a dog!", "the  red\tcat"]
STRANGE = [
    "",
    "x",
    "the purple cat",
    "猫が好き",
    "😀👩‍👩‍👧",
    "tab\tand\nline",
    "  blanks  ",
    "e\u0301",
    "\x00",
    "[END] [PAD]",
]


@pytest.mark.parametrize("kind", ["bpe", "words", "characters"])
@pytest.mark.parametrize("text", [*LEARNED, *STRANGE])
def test_any_text_comes_back(kind: str, text: str) -> None:
    tokenizer = Reversible(learn(LEARNED, kind=kind, vocabulary_size=400))
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(2 < place < tokenizer.size for place in ids)


def test_frequent_pieces_are_one() -> None:
    assert len(Reversible(learn(LEARNED, kind="words", vocabulary_size=400)).encode("the red cat")) == 3
    assert len(Reversible(learn(LEARNED, kind="characters", vocabulary_size=400)).encode("the red cat")) == 11
    assert len(Reversible(learn(LEARNED * 9, kind="bpe", vocabulary_size=400)).encode("the red cat")) == 3


@pytest.mark.parametrize("kind", ["bpe", "words", "characters"])
def test_there_are_no_more_pieces_than_asked_for(kind: str) -> None:
    texts = [f"word{number} other{number}" for number in range(300)] * 2
    assert Reversible(learn(texts, kind=kind, vocabulary_size=300)).size <= 300


def test_reserved_ids_say_nothing() -> None:
    tokenizer = Reversible(learn(LEARNED, kind="words", vocabulary_size=400))
    assert tokenizer.decode([0, 1, *tokenizer.encode("a cat"), 2, 0]) == "a cat"
