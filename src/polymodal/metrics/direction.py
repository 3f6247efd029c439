"""Which way each metric improves: early stopping and comparisons ask."""

from __future__ import annotations

from collections.abc import Mapping

from polymodal.errors import ConfigError, did_you_mean


def greater_is_better(known: Mapping[str, bool], name: str) -> bool:
    """Whether a greater value of this metric is the better one.

    Args:
        known: what a task says of each of its metrics.
        name: one of them; or of one of several targets, such as `rmse_height`.

    Raises:
        ConfigError: the task has no such metric; says which it has.

    >>> greater_is_better({"r2": True, "rmse": False}, "rmse_height")
    False
    """
    found = [metric for metric in known if name == metric or name.startswith(f"{metric}_")]
    if not found:
        raise ConfigError(
            f"No metric is called {name!r}.{did_you_mean(name, known)} Known: {', '.join(sorted(known))}."
        )
    return known[max(found, key=len)]
