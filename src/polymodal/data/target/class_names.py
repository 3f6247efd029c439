"""The words for classes and labels: one name for 1, 1.0 and "1", and the way back to the type that a column had."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from polymodal.codecs.blanks import trimmed
from polymodal.errors import ConfigError, did_you_mean

_NUMERAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")

TYPES: dict[str, Callable[[str], Any]] = {"bool": "true".__eq__, "int": int, "float": float, "str": str}
"""By what `kind_of` says: a class's name -> the class as the column held it."""


def is_missing(value: object) -> bool:
    """None, NaN, a blank string."""
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not trimmed(value))


def name_of(value: object) -> str:
    """The word for a class: the same for 1, 1.0 and "1"; without blanks around it, in Unicode's composed form (NFC).

    >>> name_of(1.0), name_of(True), name_of(" a ")
    ('1', 'true', 'a')
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return unicodedata.normalize("NFC", trimmed(str(value)))


def note_of_name(value: object) -> str | None:
    """What `name_of` takes off a word, in words that follow "12 cells"."""
    if not isinstance(value, str) or value == name_of(value):
        return None
    if trimmed(value) != value:
        return "with blanks around their class, which were taken off"
    return "with their class in another Unicode form, which became NFC"


def names_of(classes: object) -> object:
    """Classes in settings as words, before they are validated: YAML and Python say 1 or true where the table does."""
    if isinstance(classes, Mapping):
        return {name_of(label): value for label, value in classes.items()}
    return tuple(map(name_of, classes)) if isinstance(classes, list | tuple) else classes


def factors_of(given: Mapping[str, float], classes: Sequence[str], *, no_class: str, known: str) -> list[float]:
    """The `class_weight` of each class or label; 1 of those that are not named.

    Raises:
        ConfigError: a factor for a name that the training rows do not hold, or hold too rarely.
    """
    for name in given:
        if name not in classes:
            raise ConfigError(
                f"class_weight names {name!r}, which is {no_class} of the training rows.{did_you_mean(name, classes)} "
                f"{known}: {', '.join(classes[:20])}."
            )
    return [given.get(name, 1.0) for name in classes]


def kind_of(values: Sequence[object]) -> Literal["bool", "int", "float", "str"]:
    """The type that all values share."""
    if all(isinstance(value, bool | np.bool_) for value in values):
        return "bool"
    if any(isinstance(value, bool | np.bool_) or not isinstance(value, Real) for value in values):
        return "str"
    return "int" if all(isinstance(value, Integral) for value in values) else "float"


class ClassNames:
    """The classes of a target in their order: as words, and as the values that the column held.

    Args:
        names: as `name_of` gives them.
        kind: as `kind_of` gives it.
    """

    def __init__(self, names: Sequence[str], kind: str) -> None:
        self.values = np.array([TYPES[kind](name) for name in names], dtype=object)
        self._places: dict[str, np.ndarray] = {}
        for place, name in enumerate(names):  # earlier versions kept the blanks around them
            self._places.setdefault(name_of(name), np.array([place]))
        self._columns = [f"p_{name}" for name in names]
        self._numbers = kind in ("int", "float")

    def __len__(self) -> int:
        return len(self.values)

    def encode(self, name: str) -> Int[np.ndarray, " 1"] | None:
        """Place of a class; None where there is no such class. Where classes are numbers, `1.00` is 1."""
        if name not in self._places and self._numbers and _NUMERAL.fullmatch(name):
            name = name_of(float(name))
        return self._places.get(name)

    def decode(self, best: Int[np.ndarray, " N"], probabilities: Float[np.ndarray, "N K"]) -> dict[str, np.ndarray]:
        """`prediction`: the best class as the column held it; `p_CLASS`: its probability."""
        return {"prediction": self.values[best], **dict(zip(self._columns, probabilities.T, strict=True))}
