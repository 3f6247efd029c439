"""Progress of a whole run: which of its trainings this is, and how long all of them will still take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from polymodal.training.callbacks import Callback, Progress

_WORDS = {"train": "search", "refit": "refit"}


@runtime_checkable
class Expecting(Protocol):
    """What a callback factory may have besides: it hears of the trainings of a run before the first begins."""

    def expect(self, searches: int, *, refits: int, refit_epochs: float) -> None:
        """So many trainings find out when to stop; as many at most repeat them, for that share of the epochs."""


class RunProgress:
    """Makes the progress line of each training: `1/2 search`, `2/2 refit`, with the time left for all of them.

    Args:
        verbose: writes one line an epoch where stderr is no terminal.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self.verbose = verbose
        self.expect(0, refits=0, refit_epochs=1.0)

    def expect(self, searches: int, *, refits: int, refit_epochs: float) -> None:
        """As `Expecting.expect`."""
        self._left = {"train": searches, "refit": refits}
        self._total, self._started, self._refit_epochs = searches + refits, 0, refit_epochs

    def __call__(self, phase: str, epochs: int, metric: str) -> Sequence[Callback]:
        """The callbacks of one training, as `pipeline.trainer.CallbackFactory` says."""
        kind, _, name = phase.partition(":")
        if kind not in _WORDS:
            return [Progress(epochs, metric=metric, verbose=self.verbose, title=phase.replace(":", " "))]
        self._started += 1
        self._left[kind] -= 1
        counted = f"{self._started}/{self._total}" if self._started <= self._total else ""
        title = " ".join(filter(None, [counted, _WORDS[kind], name]))
        return [Progress(epochs, metric=metric, verbose=self.verbose, title=title, later=self._later(kind, epochs))]

    def _later(self, kind: str, epochs: int) -> int:
        """Epochs of the trainings to come, if they take as many as this one, and a refit its share of them."""
        searches, refits = max(self._left["train"], 0), max(self._left["refit"], 0)
        if kind == "refit":
            return refits * epochs
        return searches * epochs + refits * max(1, round(self._refit_epochs * epochs))
