"""How well one column tells a target of numbers by itself, by rules that need no training.

The answer to a held-out row is the mean of the rows that are like it, or a straight line through the numbers of the
column, or of those in its texts. A line counts for the rows that have such a number, if they are half of all or more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from polymodal.data.audit.column_cells import ColumnCells
from polymodal.data.audit.held_out import HeldOut
from polymodal.data.audit.single_column import WHERE, LeakageRule, best, lookup

_CLOSE = 0.01  # of the distance of the quartiles
_PAIRS = 2_000


def tell_numbers(cells: ColumnCells, held: HeldOut, answers: Float[np.ndarray, " N"]) -> LeakageRule:
    """The rule by which a column explains most of the variance of the numbers of the held-out rows."""
    keys = cells.keys() | {how: cells.parts(numbers) for how, numbers in cells.numbers()}
    found = [
        LeakageRule(how, held.r2(np.array(lookup(of_cells, answers.tolist(), held, _mean)), answers), graded=True)
        for how, of_cells in keys.items()
    ]
    found += [
        LeakageRule(f"a straight line through {how}", there.r2(_line(numbers, answers, there), answers), graded=True)
        for how, numbers, there in _mostly_there(cells, held)
    ]
    return best(found)


def tell_most_numbers(cells: ColumnCells, held: HeldOut, answers: Float[np.ndarray, " N"]) -> LeakageRule:
    """The line on which nearly all held-out rows lie, whatever the others say.

    Its score is the share of these rows beyond that which lies as near to the median.
    """
    found = [LeakageRule("", 0.0)]
    spread = float(np.subtract(*np.percentile(answers, [75, 25])))
    for how, numbers, there in _mostly_there(cells, held) if spread else ():
        near = np.abs(_median_line(numbers, answers, there) - answers) <= _CLOSE * spread
        middle = np.abs(np.median(answers) - answers) <= _CLOSE * spread
        share, chance = there.share(near), there.share(middle)
        if chance < 1:
            found.append(LeakageRule(f"a straight line through {how}", (share - chance) / (1 - chance), graded=True))
    return best(found)


def _mostly_there(cells: ColumnCells, held: HeldOut) -> Iterator[tuple[str, Float[np.ndarray, " N"], HeldOut]]:
    for how, numbers in cells.numbers():
        if (there := held.where(~np.isnan(numbers))) is not None:
            yield how if len(there.asked) == len(held.asked) else f"{how}{WHERE}", numbers, there


def _line(numbers: Float[np.ndarray, " N"], answers: Float[np.ndarray, " N"], held: HeldOut) -> Float[np.ndarray, " N"]:
    """What a least-squares line gives for the held-out rows."""
    found = answers.copy()
    for learn, ask in held.parts:
        x, y = numbers[learn], answers[learn]
        spread = float(x.std())
        slope = float(((x - x.mean()) / spread * (y - y.mean())).mean()) if spread else 0.0
        found[ask] = y.mean() + slope * (numbers[ask] - x.mean()) / (spread or 1.0)
    return found


def _median_line(
    numbers: Float[np.ndarray, " N"], answers: Float[np.ndarray, " N"], held: HeldOut
) -> Float[np.ndarray, " N"]:
    """What the median of the lines through pairs of rows gives (Theil 1950, Sen 1968): few odd rows do not turn it."""
    found = answers.copy()
    for learn, ask in held.parts:
        x, y = numbers[learn], answers[learn]
        one, two = np.random.default_rng(0).integers(len(learn), size=(2, _PAIRS))
        one, two = one[x[one] != x[two]], two[x[one] != x[two]]
        slope = float(np.median((y[two] - y[one]) / (x[two] - x[one]))) if len(one) else 0.0
        found[ask] = np.median(y - slope * x) + slope * numbers[ask]
    return found


def _mean(answers: Sequence[float]) -> float:
    return sum(answers) / len(answers)
