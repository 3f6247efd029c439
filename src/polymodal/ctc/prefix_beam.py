"""Prefix beam search: the most probable texts under connectionist temporal classification (CTC)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

_NEVER = -math.inf


@runtime_checkable
class Guide(Protocol):
    """What is known of texts besides the sound: which may be, and how probable they are.

    Attributes:
        most: the most that one character can add to a score.
    """

    most: float

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


class _Prefix:
    """A beginning of a text: its last character behind a shorter one, and those that were found behind it.

    Beginnings form a tree, so that none is ever copied or compared character by character.
    """

    __slots__ = ("bonus", "followers", "last", "parent", "state")

    def __init__(self, parent: _Prefix | None, last: int, bonus: float, state: Any) -> None:
        self.parent, self.last, self.bonus, self.state = parent, last, bonus, state
        self.followers: dict[int, _Prefix | None] = {}

    def ids(self) -> tuple[int, ...]:
        """The characters from the first on."""
        found: list[int] = []
        prefix: _Prefix | None = self
        while prefix is not None and prefix.parent is not None:
            found.append(prefix.last)
            prefix = prefix.parent
        return tuple(reversed(found))


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
    first = _Prefix(None, -1, 0.0, guide.start() if guide else None)
    beam = {first: (0.0, _NEVER)}  # log-probabilities of the paths that end in a blank, and of those that do not
    most = 0.0 if guide is None else guide.most
    threshold = math.log(least) if least > 0 else _NEVER
    refused = {blank, *never}
    for step in log_probabilities:
        scores = step.tolist()
        ranked = np.argsort(-step, kind="stable")
        likely = [place for place in ranked[step[ranked] > threshold].tolist() if place not in refused]
        following = _kept(beam, scores, blank, threshold)
        full = len(beam) == width
        floor = min(_add(*logs) + one.bonus for one, logs in following.items()) if full else _NEVER
        for prefix, (in_blank, in_character) in beam.items():
            total, last = _add(in_blank, in_character), prefix.last
            reachable = total + prefix.bonus + most
            for place in likely:
                if reachable + scores[place] <= floor:  # nor any character that is less probable
                    break
                path = (in_blank if place == last else total) + scores[place]
                longer = _longer(prefix, place, guide) if path > _NEVER else None
                if longer is not None and longer not in following and path + longer.bonus > floor:
                    following[longer] = [_NEVER, path]
        best = nlargest(width, ((_add(*logs) + one.bonus, number, one)
                                  for number, (one, logs) in enumerate(following.items())))  # fmt: skip
        beam = {one: (following[one][0], following[one][1]) for _, _, one in best}
    texts = []
    for prefix, logs in beam.items():
        end, total = (0.0 if guide is None else guide.finish(prefix.state)), _add(*logs)
        if end is not None and total > _NEVER:
            texts.append(Candidate(prefix.ids(), total, total + prefix.bonus + end))
    return sorted(texts, key=lambda one: -one.score)[:n_best]


def _kept(
    beam: dict[_Prefix, tuple[float, float]], scores: list[float], blank: int, threshold: float
) -> dict[_Prefix, list[float]]:
    """The beginnings that were followed, one step later: by a blank, their last character again, or from the shorter
    one, where that is followed as well.
    """
    following = {}
    for prefix, (in_blank, in_character) in beam.items():
        last = prefix.last
        paths = in_character + scores[last] if last >= 0 else _NEVER
        shorter = beam.get(prefix.parent) if prefix.parent is not None else None
        if shorter is not None and scores[last] > threshold:
            before = shorter[0] if prefix.parent is not None and prefix.parent.last == last else _add(*shorter)
            paths = _add(paths, before + scores[last])
        following[prefix] = [_add(in_blank, in_character) + scores[blank], paths]
    return following


def _longer(prefix: _Prefix, place: int, guide: Guide | None) -> _Prefix | None:
    """The beginning with one more character; None where the guide refuses it."""
    followers = prefix.followers
    if place not in followers:
        grown = (0.0, None) if guide is None else guide.extend(prefix.state, place)
        followers[place] = None if grown is None else _Prefix(prefix, place, prefix.bonus + grown[0], grown[1])
    return followers[place]


def _add(first: float, second: float) -> float:
    """log(exp(first) + exp(second))."""
    if first < second:
        first, second = second, first
    return first if second == _NEVER else first + math.log1p(math.exp(second - first))
