"""What a training tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: from 1.
        loss: weighted mean over the training rows as they were learned (with dropout and augmentation).
        metric: the watched metric over the same rows; None where it is not defined for them.
        validation: every metric of the task over the validation rows; empty without such rows.
        rows_per_second: training rows, without the time of validation.
        seconds: of the whole epoch.
        lr: learning rate of the last update.
    """

    epoch: int
    loss: float
    metric: float | None
    validation: Mapping[str, float]
    rows_per_second: float
    seconds: float
    lr: float


@dataclass
class History:
    """All epochs that were completed.

    Attributes:
        best_epoch: the epoch whose weights the model holds; 0 where no epoch was completed.
        interrupted: ended by Ctrl-C.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    interrupted: bool = False
