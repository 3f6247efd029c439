"""Every error that Polymodal raises on purpose, and the one kind of warning that it gives.

    PolymodalError
    ├── UsageError                  wrong use: the caller can put it right without touching the data
    │   ├── ConfigError             unknown key, name or value in a configuration
    │   ├── ColumnError             a column that is absent, named twice, or used in two roles
    │   └── MissingExtraError       an optional dependency is not installed
    ├── DataError                   the data cannot be used as they are; a ValueError too, as scikit-learn wants it
    │   ├── TableError              the table itself: unreadable, ragged, empty
    │   └── UnreadableCellError     one cell: becomes a reject under the policies `missing` and `drop`
    │       └── MissingCellError    one cell that says in words that it holds nothing: a missing cell, no reject
    ├── BundleError                 a saved model that must not be, or cannot be, loaded
    │   ├── DamagedBundleError      a hash, a length or a field does not fit
    │   └── NewerBundleError        written by a newer Polymodal
    └── TrainingError               training stopped before it ended
        └── NonFiniteLossError      NaN or infinite loss or gradient, with the rows that caused it
    DataWarning                     what was done with data that allow less than was asked for; a UserWarning

Each message says what was wrong, where (file, row, column) and what to do next.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches

_PASSED_OVER = {"polymodal", "sklearn", "joblib", "jaxtyping", "beartype"}  # packages between a warning and its cause


class PolymodalError(Exception):
    """Root of the tree; `exit_code` is what the command line returns for it."""

    exit_code = 1


class UsageError(PolymodalError):
    """Wrong use: the caller can put it right without touching the data."""

    exit_code = 2


class ConfigError(UsageError):
    """Unknown key, name or value in a configuration."""


class ColumnError(UsageError):
    """A column that is absent, named twice, or used in two roles."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed; names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}. Install it with: pip install 'polymodal[{extra}]'")


@contextmanager
def needs_extra(package: str, extra: str, purpose: str) -> Iterator[None]:
    """Raises MissingExtraError where the package, imported inside, is not installed."""
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(package, extra, purpose) from error


class DataError(PolymodalError, ValueError):
    """The data cannot be used as they are. A ValueError too: that is what scikit-learn expects of an estimator."""

    exit_code = 2


class TableError(DataError):
    """The table itself: unreadable, ragged, empty."""


class UnreadableCellError(DataError):
    """One cell cannot be read; the message is the reason alone, the table adds file, row and column.

    Attributes:
        member: which of the media that the cell lists it is, from 0; None for a cell that lists none.
    """

    def __init__(self, reason: str, *, member: int | None = None) -> None:
        super().__init__(reason)
        self.member = member


class MissingCellError(UnreadableCellError):
    """One cell says in words, such as `NA` beside numbers, that it holds nothing; the message follows "12 cells"."""


class BundleError(PolymodalError):
    """A saved model that must not be, or cannot be, loaded."""

    exit_code = 2


class DamagedBundleError(BundleError):
    """A hash, a length or a field does not fit."""


class NewerBundleError(BundleError):
    """Written by a newer Polymodal than this one."""


class TrainingError(PolymodalError):
    """Training stopped before it ended."""


class NonFiniteLossError(TrainingError):
    """NaN or infinite loss or gradient, found before the update; names the rows."""


class DataWarning(UserWarning):
    """The data allow less than was asked for; says what was done."""


_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


def warn(*sentences: str) -> None:
    """Gives a `DataWarning` for each sentence, at the line of the caller's program that led here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED_OVER:
        frame, level = frame.f_back, level + 1
    if (collected := _collected.get()) is not None:
        collected.extend(sentences)
    for sentence in sentences:
        warnings.warn(sentence, DataWarning, stacklevel=level)


@contextmanager
def collecting_warnings() -> Iterator[list[str]]:
    """Gives a list that also receives the sentences of which `warn` warns inside, in this thread."""
    sentences: list[str] = []
    token = _collected.set(sentences)
    try:
        yield sentences
    finally:
        _collected.reset(token)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Names the nearest known words, for the end of an error message; those that differ in case alone go first.

    >>> did_you_mean("gatd", ["gated", "concat"])
    " Did you mean 'gated'?"
    >>> did_you_mean("User-ID", ["user_id", "user"])
    " Did you mean 'user_id'?"
    """
    plain: dict[str, list[str]] = {}
    for one in known:
        plain.setdefault(_plain(one), []).append(one)
    near = [_plain(word)] if _plain(word) in plain else get_close_matches(_plain(word), plain, n=2, cutoff=0.6)
    words = [one for key in near for one in plain[key]][:2]
    return f" Did you mean {' or '.join(map(repr, words))}?" if words else ""


def _plain(word: str) -> str:
    """A word without what people mistake: case, outer blanks, and which mark parts it."""
    return "_".join(re.split(r"[\s_-]+", word.strip().casefold()))
