"""Prefix beam search: the most probable texts under connectionist temporal classification (CTC)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

_NEVER = -math.inf


@runtime_checkable
class Guide(Protocol):
    """What is known of texts besides the sound: which may be, and how probable they are."""

    def start(self) -> Any:
        """The state before the first character; hashable states are not needed."""

    def extend(self, state: Any, character: int) -> tuple[float, Any] | None:
        """What a character adds to the score, and the state behind it; None where it may not follow."""

    def finish(self, state: Any) -> float | None:
        """What the end adds to the score; None where a text may not end so."""


@dataclass(frozen=True)
class Candidate:
    """A text that was found.

    Attributes:
        ids: of its characters.
        log_probability: of the text given the sound, summed over the paths that were followed, in nats.
        score: the same with what the guide adds.
    """

    ids: tuple[int, ...]
    log_probability: float
    score: float


@dataclass
class _Prefix:
    """A beginning of a text: log-probabilities of the paths that end in a blank, and of those that do not."""

    blank: float = _NEVER
    character: float = _NEVER
    bonus: float = 0.0
    state: Any = None

    @property
    def total(self) -> float:
        return _add(self.blank, self.character)


def prefix_beam(
    log_probabilities: Float[np.ndarray, "T V"],
    *,
    width: int = 16,
    n_best: int = 1,
    blank: int = 0,
    never: Sequence[int] = (),
    guide: Guide | None = None,
    least: float = 1e-4,
) -> list[Candidate]:
    """The `n_best` texts with the largest scores that are found, the best first (Hannun et al. 2014, arXiv 1408.2873).

    A text's probability is the sum over all paths that give it; paths of one text are joined as they go. With a width
    that no step reaches and `least` 0 this is exact. Where the guide lets none of the texts end, there is none.

    Args:
        log_probabilities: of each step.
        width: beginnings that are followed at a time.
        n_best: texts that are given.
        blank: id of the blank.
        never: ids that no text holds.
        guide: what is known of texts; None: nothing.
        least: characters less probable than that do not begin at a step.
    """
    first = _Prefix(blank=0.0, state=guide.start() if guide else None)
    beam: dict[tuple[int, ...], _Prefix] = {(): first}
    threshold = math.log(least) if least > 0 else _NEVER
    refused = {blank, *never}
    for step in log_probabilities:
        scores = step.tolist()
        likely = [place for place in np.flatnonzero(step > threshold).tolist() if place not in refused]
        following: dict[tuple[int, ...], _Prefix] = {}
        for ids, prefix in beam.items():
            total = prefix.total
            same = _at(following, ids, prefix)
            same.blank = _add(same.blank, total + scores[blank])
            if ids:
                same.character = _add(same.character, prefix.character + scores[ids[-1]])
            for place in likely:
                before = prefix.blank if ids and place == ids[-1] else total
                if before == _NEVER:
                    continue
                longer = (*ids, place)
                found = following.get(longer)
                if found is None:
                    grown = (0.0, None) if guide is None else guide.extend(prefix.state, place)
                    if grown is None:
                        continue
                    found = following[longer] = _Prefix(bonus=prefix.bonus + grown[0], state=grown[1])
                found.character = _add(found.character, before + scores[place])
        beam = dict(sorted(following.items(), key=lambda item: -item[1].total - item[1].bonus)[:width])
    found_texts = []
    for ids, prefix in beam.items():
        end = 0.0 if guide is None else guide.finish(prefix.state)
        if end is not None and prefix.total > _NEVER:
            found_texts.append(Candidate(ids, prefix.total, prefix.total + prefix.bonus + end))
    return sorted(found_texts, key=lambda one: -one.score)[:n_best]


def _at(following: dict[tuple[int, ...], _Prefix], ids: tuple[int, ...], prefix: _Prefix) -> _Prefix:
    found = following.get(ids)
    if found is None:
        found = following[ids] = _Prefix(bonus=prefix.bonus, state=prefix.state)
    return found


def _add(first: float, second: float) -> float:
    """log(exp(first) + exp(second))."""
    if first < second:
        first, second = second, first
    return first if second == _NEVER else first + math.log1p(math.exp(second - first))
