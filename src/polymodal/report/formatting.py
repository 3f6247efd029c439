"""Numbers as people read them, all by one rule: `number`."""

from __future__ import annotations

import math
from collections.abc import Iterable

from polymodal.metrics.bootstrap import Interval

_LARGEST, _SMALLEST = 1e15, 1e-5  # beyond them a power of ten is written out
_MOST_DECIMALS = 6
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | int, *, like: Iterable[float] = (), signed: bool = False) -> str:
    """A number as every part of the report writes it: thousands by commas, no `e+03`, and never a minus before zero.

    The largest decides how many decimals there are: three below ten, none from a thousand on, and at least two digits
    of a small one. By itself a whole number has none.

    Args:
        value: NaN is undefined, a dash.
        like: the numbers that it stands beside, so that all of them are rounded alike.
        signed: a plus before what is above zero.

    >>> number(1180.4), number(54), number(0.25), number(-0.0001, like=[0.5]), number(0.00042)
    ('1,180', '54', '0.250', '0.000', '0.00042')
    >>> number(3.28e-7), number(0.025, signed=True), number(math.nan)
    ('3.28 × 10⁻⁷', '+0.025', '–')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    beside = [abs(one) for one in like if math.isfinite(one)]
    whole = not beside and float(value).is_integer()
    scale = max([abs(value), *beside])
    if scale and not _SMALLEST <= scale < _LARGEST:
        power = math.floor(math.log10(scale))
        return f"{_fixed(value / 10.0**power, 2, signed=signed)} × 10{str(power).translate(_SUPERSCRIPT)}"
    return _fixed(value, 0 if whole else _decimals(scale), signed=signed)


def figure(value: float | int) -> str:
    """A figure between 0 and 1, or near it, such as a probability or a recall: `0.931`, `1.000`."""
    return number(value, like=[1.0])


def share(value: float | int) -> str:
    """A share of one, between 0 and 1: `93.1 %`."""
    return f"{_fixed(100 * value, 1)} %"


def ends(intervals: Iterable[Interval | None]) -> list[float]:
    """Every number of some intervals, by which `number` rounds them alike."""
    return [end for found in intervals if found is not None for end in (found.value, found.low, found.high)]


def tick(value: float | int, places: Iterable[float]) -> str:
    """A number at an axis, with as many decimals as the ticks at all `places` need.

    >>> tick(0.5, [0.0, 0.25, 0.5]), tick(2e5, [0.0, 2e5]), tick(-0.0, [-1.0, 0.0])
    ('0.50', '200,000', '0')
    """
    found = list(places)
    scale = max(map(abs, found), default=0.0)
    if scale and not 1e-4 <= scale < 1e9:
        power = math.floor(math.log10(scale))
        mantissa = tick(value / 10.0**power, [one / 10.0**power for one in found])
        return f"{mantissa} × 10{str(power).translate(_SUPERSCRIPT)}" if value else "0"
    enough = (n for n in range(_MOST_DECIMALS) if all(math.isclose(one, round(one, n), abs_tol=1e-9) for one in found))
    return _fixed(value, next(enough, _MOST_DECIMALS))


def duration(seconds: float | int) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _decimals(scale: float) -> int:
    """Three digits behind the point below ten, fewer above, more where a small number would lose its second digit."""
    if scale >= 10:
        return max(0, 3 - math.floor(math.log10(scale)))
    return 3 if scale >= 0.01 or not scale else min(_MOST_DECIMALS, 1 - math.floor(math.log10(scale)))


def _fixed(value: float | int, decimals: int, *, signed: bool = False) -> str:
    text = f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"
    return text if text.strip("+-0.,") else text.lstrip("+-")
