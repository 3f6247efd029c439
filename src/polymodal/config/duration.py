"""Durations: how people write them, as seconds; and seconds in words."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import AfterValidator

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)\s*"
_DURATION = re.compile(rf"(?:{_NUMBER}h)?\s*(?:{_NUMBER}m(?:in)?)?\s*(?:{_NUMBER}s)?")
_UNITS = (3600.0, 60.0, 1.0)
_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 90)  # to which estimates are rounded up


def seconds_of(duration: str | float) -> float:
    """A duration in seconds: a number, or words such as `90s`, `15m`, `1.5h` or `1h30m`.

    Raises:
        ValueError: neither of them, or not above zero.

    >>> seconds_of("1h30m")
    5400.0
    """
    words = str(duration).strip()
    try:
        seconds = float(words)
    except ValueError:
        found = _DURATION.fullmatch(words)
        parts = zip(found.groups() if found else (), _UNITS, strict=False)
        seconds = sum((float(number) * unit for number, unit in parts if number), 0.0)
    if not 0 < seconds < math.inf:
        raise ValueError(f"{duration!r} is no time; write seconds, or a number with s, m or h, such as 90s, 10m, 1h30m")
    return seconds


def in_words(seconds: float) -> str:
    """A duration in words, to two units at most.

    >>> in_words(5400.0), in_words(600.0), in_words(42.4), in_words(0.25)
    ('1 h 30 min', '10 min', '42 s', '0.2 s')
    """
    if seconds < 9.5:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole >= 600:
        whole = 60 * round(whole / 60)
    (hours, rest), units = divmod(whole, 3600), ("h", "min", "s")
    return " ".join(f"{part} {unit}" for part, unit in zip((hours, *divmod(rest, 60)), units, strict=True) if part)


def rounded_up(seconds: float) -> float:
    """The next duration that one would name: some whole seconds, minutes, or hours.

    >>> rounded_up(91.0), rounded_up(1300.0), rounded_up(8000.0)
    (120.0, 1500.0, 10800.0)
    """
    unit = 1.0 if seconds <= _STEPS[-1] else 60.0 if seconds <= 60 * _STEPS[-1] else 3600.0
    count = seconds / unit
    return unit * next((step for step in _STEPS if step >= count), math.ceil(count))


def _checked(duration: str | float) -> str | float:
    seconds_of(duration)
    return duration


DurationField = Annotated[str | float, AfterValidator(_checked)]
"""A duration as it was written."""
