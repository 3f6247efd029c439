"""Which way each metric improves: early stopping and comparisons ask."""

from __future__ import annotations

from polymodal.errors import ConfigError, did_you_mean

_LARGER = frozenset({"accuracy", "macro_f1", "balanced_accuracy", "roc_auc", "average_precision", "r2"})
_SMALLER = frozenset({"log_loss", "ece", "rmse", "mae"})


def larger_is_better(name: str) -> bool:
    """Whether a larger value of this metric is the better one.

    Raises:
        ConfigError: no metric has that name; says which do.

    >>> larger_is_better("accuracy"), larger_is_better("log_loss")
    (True, False)
    """
    known = _LARGER | _SMALLER
    if name not in known:
        raise ConfigError(
            f"No metric is called {name!r}.{did_you_mean(name, known)} Known: {', '.join(sorted(known))}."
        )
    return name in _LARGER
