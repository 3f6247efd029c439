"""Columns whose cells are distributed otherwise in the test rows than in those that the model learns from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polymodal import registry
from polymodal.data.audit.finding import Finding
from polymodal.data.audit.readings import as_numbers
from polymodal.data.audit.subject import AuditedTable
from polymodal.schema import Column

_FEWEST = 30  # cells on each side
_CHANCE = 1e-4  # p-value: some of dozens of columns differ by chance
_STRONG, _WEAK = 0.25, 0.15  # of the Kolmogorov-Smirnov distance and of Cramer's V, both from 0 to 1
_MOST_NAMES = 50
_UNSEEN = 0.5


def check(subject: AuditedTable) -> Iterator[Finding]:
    """At most one finding for each column and figure; nothing without a split."""
    if subject.sides is None:
        return
    test, learn = subject.sides == "test", np.isin(subject.sides, ["train", "validation"])
    if min(test.sum(), learn.sum()) < _FEWEST:
        return
    features = [column.name for column in subject.features if not _unread_media(subject, column)]
    for name in (*subject.config.targets, *features):
        profiles = subject.profiles.get(name)
        if profiles is not None and profiles.measures:
            for figure, values in profiles.measures.items():
                yield from _numbers(name, figure, values[learn[profiles.rows]], values[test[profiles.rows]])
        elif not subject.has_words(name):
            continue
        elif (words := _names(subject, name)) is not None:
            yield from _categories(name, words[learn], words[test])
            yield from _unseen(name, words[learn], words[test])
        elif (numbers := as_numbers(subject.cells(name))) is not None:
            there = ~np.isnan(numbers)
            yield from _numbers(name, "value", numbers[learn & there], numbers[test & there])


def _unread_media(subject: AuditedTable, column: Column) -> bool:
    """Whether only the names of files are known, which say nothing of what is in them."""
    return column.name not in subject.profiles and bool(registry.load("modalities", column.modality or "").media)


def _names(subject: AuditedTable, name: str) -> np.ndarray | None:
    """The cells of a column of few words, as text; None for other columns."""
    words = [word or "" for word in subject.words(name)]
    return np.array(words, dtype=object) if 2 * len(set(words)) <= len(words) else None


def _numbers(name: str, figure: str, learn: np.ndarray, test: np.ndarray) -> Iterator[Finding]:
    if min(len(learn), len(test)) < _FEWEST:
        return
    from scipy import stats  # it takes half a second to import

    distance, chance = stats.ks_2samp(learn, test, method="asymp")
    if chance < _CHANCE and distance >= _WEAK:
        what = (
            f"{figure} is distributed otherwise in the test rows (Kolmogorov-Smirnov distance {distance:.2f}): "
            f"median {np.median(learn):.4g} in train, {np.median(test):.4g} in test."
        )
        yield _finding(name, float(distance), what)


def _categories(name: str, learn: np.ndarray, test: np.ndarray) -> Iterator[Finding]:
    names, codes = np.unique(np.concatenate([learn, test]).astype(str), return_inverse=True)
    known = names.tolist()
    if not 2 <= len(known) <= _MOST_NAMES:
        return
    counts = np.stack([np.bincount(part, minlength=len(known)) for part in np.split(codes, [len(learn)])])
    from scipy import stats

    test_of = stats.chi2_contingency(counts, correction=False)
    strength = float(np.sqrt(test_of.statistic / counts.sum()))  # Cramer's V of a table with two lines
    if test_of.pvalue < _CHANCE and strength >= _WEAK:
        shares = counts / counts.sum(axis=1, keepdims=True)
        most = int(np.abs(shares[0] - shares[1]).argmax())
        what = (
            f"cells are distributed otherwise in the test rows (Cramer's V {strength:.2f}): "
            f"{known[most]!r} makes {shares[0][most]:.0%} of train, {shares[1][most]:.0%} of test."
        )
        yield _finding(name, strength, what)


def _unseen(name: str, learn: np.ndarray, test: np.ndarray) -> Iterator[Finding]:
    known = set(learn)
    share = float(np.mean([word not in known for word in test]))
    if share >= _UNSEEN:
        follows = " The split seems to follow this column." if share == 1 else ""
        what = f"{share:.0%} of the test rows hold a word that no training row has.{follows}"
        advice = "What a model learns of these words is of no use there; drop the column if new rows bring new ones."
        yield Finding("drift", "warning", what, advice, (name,))


def _finding(name: str, strength: float, what: str) -> Finding:
    advice = "Ask whether new rows will look like train or like test; a split by group or time is meant to differ."
    return Finding("drift", "warning" if strength >= _STRONG else "note", what, advice, (name,))
