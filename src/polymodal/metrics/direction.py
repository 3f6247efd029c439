"""Which way each metric improves: early stopping and comparisons ask. A task may bring metrics of its own."""

from __future__ import annotations

from polymodal import registry
from polymodal.errors import ConfigError, did_you_mean

_LARGER = frozenset(
    {"accuracy", "macro_f1", "balanced_accuracy", "roc_auc", "average_precision", "r2", "macro_average_precision",
     "micro_average_precision", "macro_roc_auc", "micro_f1", "ranking_precision", "quadratic_weighted_kappa"}
)  # fmt: skip
_SMALLER = frozenset({"log_loss", "ece", "rmse", "mae", "rank_mae", "label_log_loss"})
_OF_TARGETS = ("r2", "rmse", "mae")  # of one of several targets: `rmse_height`


def larger_is_better(name: str) -> bool:
    """Whether a larger value of this metric is the better one.

    Raises:
        ConfigError: no metric has that name; says which do.

    >>> larger_is_better("accuracy"), larger_is_better("log_loss")
    (True, False)
    """
    name = next((metric for metric in _OF_TARGETS if name.startswith(f"{metric}_")), name)
    known = {**dict.fromkeys(_LARGER, True), **dict.fromkeys(_SMALLER, False)}
    if name not in known:
        known |= _of_tasks()
    if name not in known:
        raise ConfigError(
            f"No metric is called {name!r}.{did_you_mean(name, known)} Known: {', '.join(sorted(known))}."
        )
    return known[name]


def _of_tasks() -> dict[str, bool]:
    """What tasks say of metrics of their own."""
    heads = (registry.load("tasks", task) for task in registry.names("tasks"))
    return {name: larger for head in heads for name, larger in getattr(head, "larger_is_better", {}).items()}
