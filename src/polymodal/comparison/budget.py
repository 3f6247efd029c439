"""Time that may be spent: said in words, and looked at between the epochs of a training."""

from __future__ import annotations

import time

from polymodal.config import duration
from polymodal.errors import ConfigError
from polymodal.metrics.history import EpochRecord, History
from polymodal.pipeline.trainer import CallbackFactory


class OutOfTimeError(Exception):
    """The budget is spent; what stopped is left out of every figure. Never reaches a user."""


def seconds_of(budget: str | float) -> float:
    """A budget in seconds: a number, or words such as `15m`, `1h30m`, `90s`.

    Raises:
        ConfigError: neither of them, or not above zero.

    >>> seconds_of("15m")
    900.0
    """
    try:
        return duration.seconds_of(budget)
    except ValueError as error:
        raise ConfigError(f"budget: {error}.") from None


class Clock:
    """Ends a training when `budget` seconds are spent; a callback of its epochs. Without a budget it never does."""

    def __init__(self, budget: float | None = None) -> None:
        self.start = time.monotonic()
        self.budget = budget

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.start

    def check(self) -> None:
        """Raises OutOfTimeError where the time is spent."""
        if self.budget is not None and self.seconds >= self.budget:
            raise OutOfTimeError

    def beside(self, make_callbacks: CallbackFactory | None) -> CallbackFactory:
        """Makes the callbacks of a training that others want, and this clock after them."""
        return lambda phase, epochs, metric: [*(make_callbacks(phase, epochs, metric) if make_callbacks else ()), self]

    def on_epoch(self, record: EpochRecord) -> None:
        self.check()

    def on_end(self, history: History) -> None:
        """The next epoch is asked for, not this end: a training that is done counts."""
