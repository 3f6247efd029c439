"""The verdict of a run: the model against the best baseline, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.figures import between, figure, of_p
from polymodal.schema import Record


class RunVerdict(Record):
    """Whether the model is better than the best baseline, by the paired bootstrap.

    Attributes:
        baselines: the best ones; several where they tie.
        model: the metric of the model.
        baseline: the metric of the best baselines.
        gain: by how much the model is better; below zero where it is worse.
        p: of a difference as large, either way, if there were none.
    """

    metric: str
    baselines: tuple[str, ...]
    model: float
    baseline: float
    gain: Interval
    p: float
    decision: Literal["better", "worse", "same"]

    @property
    def text(self) -> str:
        """The verdict in a sentence or two."""
        return self.sentence("The model", "baseline")

    def sentence(self, model: str, rival: str) -> str:
        """The verdict in other words for the model, and for one of what it is measured against."""
        name = f"the best {rival}{'s' * (len(self.baselines) > 1)}, {_listed(self.baselines)}"
        against = f"{self.metric} {figure(self.model)} against {figure(self.baseline)}"
        gain = f"{between(self.gain, signed=True)}, p {of_p(self.p)} by the paired bootstrap"
        if self.decision == "better":
            return f"{model} beats {name}: {against}; gain {gain}."
        if self.decision == "worse":
            return f"{model} is worse than {name}: {against}; gain {gain}. `polymodal compare` finds what does better."
        if self.model == self.baseline:
            return f"{model} ties with {name}: {self.metric} {figure(self.model)} each."
        return f"{model} is not shown to differ from {name}: {against}; gain {gain}. More test rows would tell."


def _listed(names: Sequence[str]) -> str:
    words = [name.replace("_", " ") for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
