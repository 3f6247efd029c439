"""Text encoders that begin with the word vectors of a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from polymodal.bundles import bundle
from polymodal.config.run_config import make
from polymodal.encoders._word_vectors import WordEmbedding
from polymodal.encoders.text.bag import Bag, BagConfig
from polymodal.encoders.text.rnn import Rnn, RnnConfig
from polymodal.errors import ConfigError, DamagedBundleError
from polymodal.modalities.text import Text, TextConfig
from polymodal.pipeline.run import train
from polymodal.testing import check_encoder

KNOWN = ["red", "cat", "dog", "dogs", "a", "sun", "the", "in"]  # of the sample cells of the contract checks
VECTORS = np.random.default_rng(1).normal(size=(len(KNOWN), 6)).astype(np.float32)
TEXTS = ["a red cat", "the dog", "A mouse!"]


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "vectors.txt"
    rows = [f"{word} {' '.join(map(repr, row.tolist()))}" for word, row in zip(KNOWN, VECTORS, strict=True)]
    path.write_text("\n".join(rows) + "\n")
    return path


def column(texts=TEXTS, **settings) -> Text:
    config = TextConfig(tokenizer="words", **settings)
    return Text(config, Text(config).fit([Text(config).read(text) for text in texts]))


def cells(modality: Text, texts):
    return modality.collate([modality.read(text) for text in texts])


@pytest.mark.parametrize("name", ["bag", "rnn"])
@pytest.mark.parametrize("learns", [False, True])
def test_with_vectors_it_keeps_the_contract(file, name, learns):
    check_encoder(name, "text", settings={"vectors": str(file), "train_vectors": learns, "width": 4, "dropout": 0})


@pytest.mark.parametrize("learns", [False, True])
def test_a_word_has_the_vector_of_the_file(file, learns):
    text = column()
    encoder = Rnn(RnnConfig(vectors=str(file), train_vectors=learns, width=4), text)
    ids = {word: 2 + place for place, word in enumerate(text.words)}
    for word in ("red", "cat", "dog", "a", "the"):
        expected = torch.from_numpy(VECTORS[KNOWN.index(word)])
        torch.testing.assert_close(encoder.embedding(torch.tensor([[ids[word]]]))[0, 0], expected)
    none = encoder.embedding(torch.tensor([[0, 1, ids["mouse"], ids["!"]]]))[0]
    assert bool((none == none[0]).all()) != learns  # one vector for all of them, or each its own
    assert encoder.notes == ("vectors cover 71% of 7 words; 2 have none",)


@pytest.mark.parametrize("learns", [False, True])
def test_given_vectors_change_only_if_they_learn(learns):
    words = WordEmbedding(5, 3, learns=learns)
    words.fill([3, 2], torch.tensor([[1.0, 2, 3], [4, 5, 6]]))
    before = words.vectors.detach().clone()
    optimizer = torch.optim.SGD(words.parameters(), lr=0.1)
    words(torch.tensor([[0, 2, 3, 4]])).square().sum().backward()
    optimizer.step()
    assert torch.equal(words.vectors, before) != learns
    assert before[2:4].tolist() == [[4, 5, 6], [1, 2, 3]]
    if not learns:
        assert words.known.tolist() == [False, False, True, True, False]


def test_unknown_words_begin_as_large_as_the_given_ones():
    torch.manual_seed(0)
    words = WordEmbedding(4_000, 8, learns=True)
    given = 0.3 * torch.randn(100, 8)
    words.fill(range(100), given)
    assert abs(words.vectors[100:].std() / given.std() - 1) < 0.05


def test_a_bag_is_the_weighted_mean_of_vectors_brought_to_its_width(file):
    text = column()
    encoder = Bag(BagConfig(vectors=str(file), weighting="mean", width=4), text).eval()
    matrix = encoder.embedding[1].weight.detach().numpy()
    found = encoder(cells(text, ["the red red dog"])).values[0, 0].detach().numpy()
    rows = [VECTORS[KNOWN.index(word)] for word in ("the", "red", "red", "dog")]
    np.testing.assert_allclose(found, matrix @ np.mean(rows, axis=0), rtol=1e-5)


def test_words_beyond_the_vocabulary_are_one_unknown_word():
    text = column(["b b b", "a a c"] * 3, vocabulary_size=16)
    assert text.words == ("b", "a", "c")
    assert cells(text, ["b z c", "z"]).values.tolist() == [[2, 1, 4], [1, 0, 0]]


@pytest.mark.parametrize("name", ["bag", "rnn"])
def test_it_needs_whole_words_and_a_file(file, name, tmp_path):
    cls = {"bag": Bag, "rnn": Rnn}[name]
    assert cls.needs(cls.Config(vectors=str(file)))["tokenizer"] == "words"
    with pytest.raises(ConfigError, match=f"no file of word vectors '{tmp_path}/absent'.*Nothing is downloaded"):
        cls.needs(cls.Config(vectors=str(tmp_path / "absent")))
    letters = TextConfig(tokenizer="character_ngrams")
    with pytest.raises(ConfigError, match="set the column's tokenizer to `words`"):
        cls(cls.Config(vectors=str(file)), Text(letters, {"tokenizer": "character_ngrams"}))


def test_a_file_with_none_of_the_words_is_refused(file):
    with pytest.raises(ConfigError, match=r"has a vector for none of the 2 words.*such as 'kot'"):
        Bag(BagConfig(vectors=str(file)), column(["kot", "pies"]))


TABLE = {
    "review": ["a red cat", "the dog runs", "sun in the morning", "two dogs"] * 6,
    "label": ["a", "b", "a", "b"] * 6,
}


@pytest.mark.parametrize("name", ["bag", "rnn"])
@pytest.mark.parametrize("learns", [False, True])
def test_a_run_counts_them_and_its_bundle_needs_no_file(file, tmp_path, name, learns):
    settings = {"name": name, "vectors": str(file), "train_vectors": learns, "width": 4}
    encoders = {"text": settings}
    config = make({"target": "label", "encoders": encoders, "train": {"epochs": 1},
                   "columns": {"review": {"modality": "text"}}})  # fmt: skip
    run = train(TABLE, config)
    assert "review: vectors cover 73% of 11 words; 3 have none" in run.notes
    bundle.save(run.bundle, tmp_path / "bundle")
    file.unlink()
    loaded = bundle.load(tmp_path / "bundle")
    texts = cells(run.bundle.model.encoders["review"] and column(TABLE["review"]), ["the red dogs", "no cat"])
    before, after = (b.model.eval().encoders["review"](texts).values for b in (run.bundle, loaded))
    assert torch.equal(before, after)
    assert loaded.schema.inputs[0].settings["vectors"] is None


def test_texts_with_words_that_training_did_not_see_are_counted():
    sides = ["train"] * 12 + ["validation"] * 6 + ["test"] * 6
    table = TABLE | {"side": sides, "review": [*TABLE["review"][:-2], "a new cat", "new new"]}
    run = train(table, make({"target": "label", "split": {"column": "side"}, "train": {"epochs": 1},
                             "columns": {"review": {"modality": {"name": "text", "tokenizer": "words"}}}}))  # fmt: skip
    assert "review: 2 cells with a word unseen, or too rare, in training" in run.notes


def test_vectors_outside_of_a_bundle_are_not_opened(file, tmp_path):
    from polymodal.bundles import files as bundle_files

    config = make({"target": "label", "encoders": {"text": {"name": "bag", "vectors": str(file), "width": 4}},
                   "train": {"epochs": 1}, "columns": {"review": {"modality": "text"}}})  # fmt: skip
    folder = tmp_path / "bundle"
    bundle.save(train(TABLE, config).bundle, folder)
    files = {name: bytes(data) for name, data in bundle_files.read(folder).files.items()}
    schema = json.loads(files["schema.json"])
    schema["inputs"][0]["settings"]["vectors"] = str(file)
    bundle_files.write(folder, files | {"schema.json": json.dumps(schema).encode()})
    with pytest.raises(DamagedBundleError, match="'review' depends on a checkpoint outside"):
        bundle.load(folder)
