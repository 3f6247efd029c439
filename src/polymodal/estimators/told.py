"""Tells one fact once: what a model has said of a table, and of how it reads columns, it does not say again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from polymodal.errors import warn

if TYPE_CHECKING:
    from polymodal.estimators.parameters import Parameters


class Told:
    """What the user of one model has been told.

    How cells are read (`size: 3 cells of a duration, read in seconds`) is the same for every table, and told once.
    All else, such as cells that cannot be read, is told again of every other table.
    """

    def __init__(self, notes: Iterable[str] = ()) -> None:
        from polymodal.data.cells.notes import fact_of  # it loads PyTorch

        self._fact_of = fact_of
        self._facts = {fact for note in notes if (fact := fact_of(note))}
        self._source: ref[object] | None = None
        self._of_source: set[str] = set()

    def tell(self, source: object, sentences: Iterable[str], notes: Iterable[str]) -> None:
        """Warns of what is new.

        Args:
            source: what was predicted; two tables are one only where they are the same object.
            sentences: about this table.
            notes: on cells that were read.
        """
        if self._source is None or self._source() is not source:
            self._source, self._of_source = _reference(source), set()
        for sentence, fact in [*((one, None) for one in sentences), *((one, self._fact_of(one)) for one in notes)]:
            known, key = (self._of_source, sentence) if fact is None else (self._facts, fact)
            if key not in known:
                warn(sentence)
                known.add(key)  # unless the caller turns warnings into errors


def tell(model: Parameters, source: object, sentences: Iterable[str], notes: Iterable[str]) -> None:
    """Warns of what the user of a model has not been told; the arguments are those of `Told.tell`."""
    _TOLD.setdefault(model, Told()).tell(source, sentences, notes)


def begin(model: Parameters, notes: Iterable[str]) -> None:
    """A model was trained, and these notes were told of its table."""
    _TOLD[model] = Told(notes)


def _reference(source: object) -> ref[object] | None:
    try:
        return ref(source)
    except TypeError:  # a list, a dict, a path: each counts as another table
        return None


_TOLD: WeakKeyDictionary[Parameters, Told] = WeakKeyDictionary()  # predicting must leave an estimator as it is
