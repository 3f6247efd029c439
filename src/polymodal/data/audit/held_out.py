"""Rows from which a rule on one column is learned, and held-out rows on which it is tested."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from polymodal.data.audit.subject import AuditedTable

MOST = 20_000  # rows; a draw of them tells as much
FEWEST_TEST = 30  # rows; fewer tell less than halves of all
FEWEST_OTHERS = 10  # rows with another answer than the commonest one
_MOSTLY = 0.5  # of the rows have a cell


@dataclass(frozen=True)
class HeldOut:
    """Rows from which a rule is learned, and held-out rows on which it is tested.

    Attributes:
        rows: numbers of all of them.
        parts: places among these: of the rows to learn from, and of those to test on.
    """

    rows: np.ndarray
    parts: tuple[tuple[np.ndarray, np.ndarray], ...]

    @classmethod
    def of(cls, subject: AuditedTable, labelled: np.ndarray) -> HeldOut:
        """The test rows among the labelled ones, or where there are few of them every half."""
        rows = np.random.default_rng(0).permutation(labelled)[:MOST]
        if subject.sides is not None:
            sides = subject.sides[rows]
            learned, asked = rows[np.isin(sides, ["train", "validation"])], rows[sides == "test"]
            if min(len(learned), len(asked)) >= FEWEST_TEST:
                places = np.arange(len(learned) + len(asked))
                return cls(np.concatenate([learned, asked]), ((places[: len(learned)], places[len(learned) :]),))
        one, two = np.split(np.arange(len(rows)), [len(rows) // 2])
        return cls(rows, ((one, two), (two, one)))

    @cached_property
    def asked(self) -> np.ndarray:
        """Places of the rows to answer."""
        return np.concatenate([ask for _, ask in self.parts])

    def where(self, there: Bool[np.ndarray, " N"]) -> HeldOut | None:
        """The same without the places where something is not there; None where most places are left out."""
        parts = tuple((learn[there[learn]], ask[there[ask]]) for learn, ask in self.parts)
        num_asked = sum(len(ask) for _, ask in parts)
        enough = num_asked >= max(FEWEST_TEST, _MOSTLY * len(self.asked)) and all(len(learn) for learn, _ in parts)
        return HeldOut(self.rows, parts) if enough else None

    def share(self, right: Bool[np.ndarray, " N"]) -> float:
        """Share of the held-out rows that are told right."""
        return float(right[self.asked].mean())

    def r2(self, told: Float[np.ndarray, " N"], answers: Float[np.ndarray, " N"]) -> float:
        """Share of the variance of the held-out rows that is explained, with the farthest hundredth and without it.

        It is the smaller of both: one row that is far from the others explains nearly all variance by itself.
        """
        true, said = answers[self.asked], told[self.asked]
        near = np.argsort(np.abs(true - np.median(true)), kind="stable")[: -max(1, len(true) // 100)]
        found = [_r2(said, true), _r2(said[near], true[near])]
        return min((score for score in found if score is not None), default=0.0)


def _r2(told: Float[np.ndarray, " N"], true: Float[np.ndarray, " N"]) -> float | None:
    total = float(((true - true.mean()) ** 2).sum()) if len(true) else 0.0
    return 1 - float(((true - told) ** 2).sum()) / total if total else None
