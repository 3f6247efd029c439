"""Edits from one sequence to another: what error rates of texts are made of."""

from __future__ import annotations

from collections.abc import Sequence


def edit_distance(first: Sequence[object], second: Sequence[object]) -> int:
    """Fewest insertions, deletions and substitutions that make one sequence of the other (Levenshtein 1966).

    >>> edit_distance("kitten", "sitting")
    3
    """
    row = list(range(len(second) + 1))
    for place, one in enumerate(first, start=1):
        corner, row[0] = row[0], place
        for other in range(1, len(row)):
            cost = min(row[other] + 1, row[other - 1] + 1, corner + (one != second[other - 1]))
            corner, row[other] = row[other], cost
    return row[-1]
