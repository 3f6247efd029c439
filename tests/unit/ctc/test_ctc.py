"""CTC searches and alignment against all paths one by one, and against torchaudio."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchaudio.functional as reference
from all_paths import ARPA, LETTERS, all_texts, best_path, drawn, guided_texts

from polymodal.ctc.alignment import STAR, align
from polymodal.ctc.guides import WordGuide
from polymodal.ctc.ngrams import read
from polymodal.ctc.prefix_beam import prefix_beam
from polymodal.errors import ConfigError, DataError


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_best_texts_of_all(seed: int) -> None:
    scores = drawn(5, 4, seed)
    expected = sorted(all_texts(scores).items(), key=lambda item: -item[1])[:6]
    found = prefix_beam(scores, width=10_000, n_best=6, least=0.0)
    assert [one.ids for one in found] == [ids for ids, _ in expected]
    assert [one.log_probability for one in found] == pytest.approx([score for _, score in expected])


def test_a_beam_never_claims_more_than_there_is_and_grows_better() -> None:
    scores = drawn(6, 4, 9)
    every = all_texts(scores)
    best = -math.inf
    for width in (1, 2, 4, 8, 64):
        (found,) = prefix_beam(scores, width=width, least=0.0)
        assert found.log_probability <= every[found.ids] + 1e-9
        best = max(best, found.log_probability)
    assert best == pytest.approx(max(every.values()))


def test_ids_that_never_come_do_not() -> None:
    found = prefix_beam(drawn(5, 4, 1), width=1_000, n_best=50, never=(2,), least=0.0)
    assert all(2 not in one.ids for one in found)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("with_ngrams", [False, True])
@pytest.mark.parametrize("words", [None, ["a", "ba"]])
def test_guided_search_finds_the_best_of_the_texts_that_may_be(seed: int, with_ngrams: bool, words: list[str]) -> None:
    scores = drawn(5, 4, seed)
    ngrams = read(ARPA, source="test") if with_ngrams else None
    guide = WordGuide(LETTERS, words=words, ngrams=ngrams, weight=0.7, bonus=0.4)
    expected = guided_texts(scores, words=words, ngrams=ngrams, weight=0.7, bonus=0.4)[:3]
    found = prefix_beam(scores, width=10_000, n_best=3, least=0.0, guide=guide)
    assert [one.ids for one in found] == [ids for _, ids in expected]
    assert [one.score for one in found] == pytest.approx([score for score, _ in expected])


def test_words_that_hold_letters_the_model_lacks_are_never_heard() -> None:
    guide = WordGuide(LETTERS, words=["xyz", "ab"])
    found = prefix_beam(drawn(4, 4, 0), width=1_000, n_best=100, least=0.0, guide=guide)
    assert {one.ids for one in found} == {(), (1, 2)}


# --- n-grams


def test_probabilities_back_off() -> None:
    model, ln10 = read(ARPA, source="test"), math.log(10)
    assert model.log_probability("ba", ["<s>"]) == pytest.approx(-0.2 * ln10)
    assert model.log_probability("a", ["<s>"]) == pytest.approx((-0.5 - 0.4) * ln10)  # back-off of <s>
    assert model.log_probability("strange", ["a"]) == pytest.approx((-0.3 - 1.5) * ln10)
    assert model.log_probability("a", ["strange"]) == pytest.approx(-0.4 * ln10)
    assert model.sentence(["ba", "a"]) == pytest.approx((-0.2 - 0.6 - 0.1) * ln10)


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([], "no ARPA file"),
        (ARPA[:-1], "end"),
        ([line for line in ARPA if line != "-0.6 ba a"], "damaged"),
        ([line.replace("-0.6 ba a", "-0.6 ba a b c") for line in ARPA], "line 15"),
        ([line.replace("-0.6 ba a", "x ba a") for line in ARPA], "line 15"),
    ],
)
def test_files_that_are_none_are_refused(lines: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read(lines, source="test")


# --- alignment


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ids", [[1, 2], [1, 1], [3, 1, 1, 2], [2]])
def test_the_path_is_that_of_torchaudio(seed: int, ids: list[int]) -> None:
    scores = drawn(9, 4, seed)
    found = align(scores, ids)
    paths, logs = reference.forced_align(torch.from_numpy(scores)[None].float(), torch.tensor([ids], dtype=torch.int32))
    spans = reference.merge_tokens(paths[0], logs[0].exp())
    assert found.starts.tolist() == [span.start for span in spans]
    assert found.ends.tolist() == [span.end for span in spans]
    assert found.confidence.tolist() == pytest.approx([span.score for span in spans], abs=1e-5)
    assert found.log_probability == pytest.approx(float(logs.sum()), abs=1e-4)


@pytest.mark.parametrize("ids", [[1, STAR, 2], [STAR, 1], [2, STAR]])
def test_a_star_takes_what_the_text_leaves_out(ids: list[int]) -> None:
    scores = drawn(6, 4, 3)
    assert align(scores, ids).log_probability == pytest.approx(best_path(scores, ids)[0])


def test_the_right_text_fits_better_than_a_wrong_one() -> None:
    scores = np.full((6, 4), math.log(0.01))
    for step, place in enumerate([1, 0, 2, 2, 0, 3]):
        scores[step, place] = math.log(0.97)
    right, wrong = align(scores, [1, 2, 3]), align(scores, [3, 2, 1])
    assert right.loss == pytest.approx(0)
    assert wrong.loss > 2
    assert right.starts.tolist() == [0, 2, 5]
    assert right.ends.tolist() == [1, 4, 6]


@pytest.mark.parametrize("ids", [[], [1, 1, 1], [1, 2, 3, 1, 2]])
def test_texts_that_cannot_be_aligned_are_refused(ids: list[int]) -> None:
    with pytest.raises(DataError, match="text"):
        align(drawn(4, 4, 0), ids)
