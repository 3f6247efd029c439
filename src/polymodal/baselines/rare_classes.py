"""Fits scikit-learn's classifiers to classes of which most have a single row."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_SAID = "The number of unique classes is greater"


@contextmanager
def rare_classes() -> Iterator[None]:
    """Leaves out scikit-learn's doubt whether such classes are numbers: a run says it once, with the setting."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_SAID, category=UserWarning)
        yield
