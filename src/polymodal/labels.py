"""The words for classes and labels: one name for 1, 1.0 and "1", and the way back to the type that a column had."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np

TYPES: dict[str, Callable[[str], Any]] = {"bool": "true".__eq__, "int": int, "float": float, "str": str}
"""By what `kind_of` says: a class's name -> the class as the column held it."""


def is_missing(value: object) -> bool:
    """None, NaN, the empty string."""
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value)


def name_of(value: object) -> str:
    """The word for a class: the same for 1, 1.0 and "1".

    >>> name_of(1.0), name_of(True), name_of(0.5)
    ('1', 'true', '0.5')
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)


def kind_of(values: Sequence[object]) -> Literal["bool", "int", "float", "str"]:
    """The type that all values share."""
    if all(isinstance(value, bool | np.bool_) for value in values):
        return "bool"
    if any(isinstance(value, bool | np.bool_) or not isinstance(value, Real) for value in values):
        return "str"
    return "int" if all(isinstance(value, Integral) for value in values) else "float"
