"""CTC searches and alignment against all paths, on hundreds of random tiny inputs (`make test-slow`)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from all_paths import ARPA, LETTERS, all_texts, best_path, drawn, guided_texts

from polymodal.ctc.alignment import STAR, align
from polymodal.ctc.guides import WordGuide
from polymodal.ctc.ngrams import read
from polymodal.ctc.prefix_beam import prefix_beam
from polymodal.errors import DataError

pytestmark = pytest.mark.slow

SHAPES = [(1, 5), (2, 5), (3, 4), (4, 4), (5, 4), (6, 3), (9, 2)]


@pytest.mark.parametrize(("steps", "size"), SHAPES)
def test_a_wide_beam_finds_all_texts_in_their_order(steps: int, size: int) -> None:
    compared = 0
    for seed in range(100):
        scores = drawn(steps, size, seed)
        expected = sorted(all_texts(scores).items(), key=lambda item: -item[1])
        found = prefix_beam(scores, width=10_000, n_best=10_000, least=0.0)
        assert [one.ids for one in found] == [ids for ids, _ in expected]
        assert [one.log_probability for one in found] == pytest.approx([score for _, score in expected])
        compared += len(found)
    print(f"{steps} steps of {size} ids: 100 inputs, {compared} texts as found by trying all paths")


@pytest.mark.parametrize(("steps", "size"), SHAPES)
def test_narrow_beams_never_claim_more_than_there_is(steps: int, size: int) -> None:
    best, compared = 0, 0
    for seed in range(100, 200):
        scores = drawn(steps, size, seed)
        every = all_texts(scores)
        for width in (1, 2, 4):
            for one in prefix_beam(scores, width=width, n_best=width, least=0.0):
                assert one.log_probability <= every[one.ids] + 1e-9
                compared += 1
        (found,) = prefix_beam(scores, width=4, least=0.0)
        best += every[found.ids] == max(every.values())
    assert best > 80
    print(f"{steps} steps of {size} ids: 100 inputs, {compared} texts; a beam of 4 finds the best one of {best}")


@pytest.mark.parametrize("with_ngrams", [False, True])
@pytest.mark.parametrize("words", [None, ["a", "ba"], ["ab", "bb", "a"]])
def test_guided_search_finds_the_best_of_the_texts_that_may_be(with_ngrams: bool, words: list[str] | None) -> None:
    rng, compared = np.random.default_rng(0), 0
    ngrams = read(ARPA, source="test") if with_ngrams else None
    for seed in range(60):
        scores = drawn(int(rng.integers(1, 7)), 4, seed)
        given = {"weight": float(rng.uniform(0, 2)), "bonus": float(rng.uniform(-1, 1))}
        guide = WordGuide(LETTERS, words=words, ngrams=ngrams, **given)
        expected = guided_texts(scores, words=words, ngrams=ngrams, **given)
        found = prefix_beam(scores, width=10_000, n_best=10_000, least=0.0, guide=guide)
        assert [one.ids for one in found] == [ids for _, ids in expected]
        assert [one.score for one in found] == pytest.approx([score for score, _ in expected])
        compared += len(found)
    print(f"words {words}, n-grams {with_ngrams}: 60 inputs, {compared} texts as found by trying all paths")


@pytest.mark.parametrize(("steps", "size"), [(3, 3), (4, 4), (5, 3), (6, 3)])
def test_the_path_of_a_text_is_the_best_of_all_its_paths(steps: int, size: int) -> None:
    rng, aligned, refused = np.random.default_rng([steps, size]), 0, 0
    for seed in range(150):
        scores = drawn(steps, size, seed)
        ids = rng.integers(1, size, rng.integers(1, steps + 1)).tolist()
        if seed % 3 == 0:
            ids[int(rng.integers(len(ids)))] = STAR
        log, path = best_path(scores, ids)
        if path is None:
            with pytest.raises(DataError, match="too long"):
                align(scores, ids)
            refused += 1
            continue
        found = align(scores, ids)
        assert found.log_probability == pytest.approx(log)
        groups = [(place, len(list(group))) for place, group in itertools.groupby(path)]
        ends = np.cumsum([length for _, length in groups]).tolist()
        spans = [(end - length, end) for (place, length), end in zip(groups, ends, strict=True) if place]
        assert list(zip(found.starts.tolist(), found.ends.tolist(), strict=True)) == spans
        for place, (start, end), confidence in zip(ids, spans, found.confidence.tolist(), strict=True):
            expected = 1.0 if place == STAR else np.exp(scores[start:end, place]).mean()
            assert confidence == pytest.approx(expected)
        aligned += 1
    print(f"{steps} steps of {size} ids: {aligned} texts aligned as by trying all paths, {refused} refused")
