"""BLEU, chrF, ROUGE-L, CIDEr and error rates against sacrebleu, rouge-score, pycocoevalcap and jiwer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polymodal.config.run_config import make, part_settings
from polymodal.metrics import generation
from polymodal.metrics.edits import edit_distance
from polymodal.metrics.rows import RowStatistics
from polymodal.tasks.generate import Generate
from polymodal.types import Sequences

sacrebleu = pytest.importorskip("sacrebleu")
jiwer = pytest.importorskip("jiwer")
rouge = pytest.importorskip("rouge_score.rouge_scorer")

WORDS = [
    "a",
    "the",
    "small",
    "red",
    "cat",
    "dog",
    "sat",
    "on",
    "mat,",
    "with",
    "3.5",
    "legs;",
    "1,000",
    "(two)",
    "don't",
]
WORDS += ["it's", "end-of-line", "7-11", "&amp;", "Über"]
SETS = {
    "alike": (["a small red cat sat on the mat.", "the dog"], ["a small red cat sat on a mat.", "the dog"]),
    "strangers": (["xyz", "uvw"], ["a small red cat", "the dog"]),
    "empty": (["", "the dog", ""], ["a cat", "the dog", "x"]),
    "short": (["a", "dog", "the cat"], ["a", "cat", "the"]),
    "other scripts": (["猫 は 好き", "кошка сидит", "😀 face"], ["猫 が 好き", "кошка стоит там", "😀 face"]),
}


def drawn(seed: int, number: int) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    true = [" ".join(rng.choice(WORDS, rng.integers(1, 12))) for _ in range(number)]
    predicted = []
    for text in true:
        words = [word if rng.random() < 0.7 else str(rng.choice(WORDS)) for word in text.split()]
        predicted.append(" ".join(words[: max(1, len(words) - int(rng.integers(0, 3)))]))
    return predicted, true


EVERY = [*SETS.values(), *(drawn(seed, 20) for seed in range(5)), drawn(9, 1)]


@pytest.mark.parametrize(("predicted", "true"), EVERY)
def test_bleu_and_chrf_are_those_of_sacrebleu(predicted: list[str], true: list[str]) -> None:
    ones = np.ones((1, len(true)))
    found = generation.bleu(ones @ generation.bleu_statistics(predicted, true))
    assert found[0] == pytest.approx(sacrebleu.corpus_bleu(predicted, [true]).score, abs=1e-9)
    found = generation.chrf(ones @ generation.chrf_statistics(predicted, true))
    assert found[0] == pytest.approx(sacrebleu.corpus_chrf(predicted, [true]).score, abs=1e-9)


def test_weightings_count_rows_several_times() -> None:
    predicted, true = drawn(3, 8)
    times = [2, 0, 1, 3, 1, 0, 0, 1]
    more, others = (
        [text for text, n in zip(texts, times, strict=True) for _ in range(n)] for texts in (predicted, true)
    )
    weights = np.array([times, [1] * 8], dtype=float)
    bleu = generation.bleu(weights @ generation.bleu_statistics(predicted, true))
    chrf = generation.chrf(weights @ generation.chrf_statistics(predicted, true))
    expected = [sacrebleu.corpus_bleu(*pair).score for pair in ((more, [others]), (predicted, [true]))]
    assert bleu.tolist() == pytest.approx(expected)
    expected = [sacrebleu.corpus_chrf(*pair).score for pair in ((more, [others]), (predicted, [true]))]
    assert chrf.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("predicted", "true"), [pair for pair in EVERY if pair is not SETS["other scripts"]])
def test_rouge_l_is_that_of_rouge_score(predicted: list[str], true: list[str]) -> None:
    predicted, true = ([text.replace("Über", "over") for text in texts] for texts in (predicted, true))
    scorer = rouge.RougeScorer(["rougeL"], use_stemmer=False)
    expected = [scorer.score(other, text)["rougeL"].fmeasure for text, other in zip(predicted, true, strict=True)]
    assert generation.rouge_l(predicted, true).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("predicted", "true"), EVERY)
def test_cider_is_that_of_pycocoevalcap(predicted: list[str], true: list[str]) -> None:
    cider = pytest.importorskip("pycocoevalcap.cider.cider")

    def plain(texts: list[str]) -> dict[int, list[str]]:  # theirs splits at blanks
        return {row: [" ".join(generation._WORD.findall(text.lower()))] for row, text in enumerate(texts)}

    mean, each = cider.Cider().compute_score(plain(true), plain(predicted))
    found = generation.cider(predicted, true)
    assert found.tolist() == pytest.approx(each.tolist())
    assert found.mean() == pytest.approx(mean)


@pytest.mark.parametrize(("predicted", "true"), EVERY)
def test_error_rates_of_a_task_are_those_of_jiwer(predicted: list[str], true: list[str]) -> None:
    config = make({"target": "said", "task": {"name": "generate", "tokenizer": "characters"}})
    settings = part_settings("tasks", config.task)
    task = Generate(settings, Generate(settings).fit([*true, *predicted], column="said"))
    spaced = [text.replace(" ", "  ", 1) for text in predicted]  # a blank more is no error
    target, found = (task.collate([task.encode(text) for text in texts]) for texts in (true, spaced))
    every = torch.ones(len(true), 1)
    prediction = Sequences(found.values.unsqueeze(1), found.lengths.unsqueeze(1), -every, every[:, 0] > 0)
    metrics = RowStatistics.of(task, prediction, target).values()
    assert metrics["cer"] == pytest.approx(jiwer.cer(true, predicted), abs=1e-12)
    assert metrics["wer"] == pytest.approx(jiwer.wer(true, predicted), abs=1e-12)
    assert not task.greater_is_better["cer"] and not task.greater_is_better["wer"]
    assert {"cer", "wer"} <= set(task.metric_words)


@pytest.mark.parametrize(("predicted", "true"), EVERY)
def test_edits_of_single_rows_are_those_of_jiwer(predicted: list[str], true: list[str]) -> None:
    for one, other in zip(predicted, true, strict=True):
        assert edit_distance(one, other) / len(other) == pytest.approx(jiwer.cer(other, one))
        words = other.split()
        assert edit_distance(one.split(), words) / len(words) == pytest.approx(jiwer.wer(other, one))
        assert edit_distance(other, one) == edit_distance(one, other)


def test_a_table_of_chrf_holds_that_of_each_pair() -> None:
    rng = np.random.default_rng(3)
    texts = ["", " ", "aaaaaaaaa aa", "aaa", "Über 3.5 cats", *(" ".join(rng.choice(WORDS, 5)) for _ in range(6))]
    table = generation.chrf_table(texts)
    measured = sacrebleu.CHRF()
    for row, predicted in enumerate(texts):
        for column, true in enumerate(texts):
            assert table[row, column] == pytest.approx(measured.corpus_score([predicted], [[true]]).score, abs=1e-9)
