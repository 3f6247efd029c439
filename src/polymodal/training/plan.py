"""How one training goes, everything chosen."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polymodal.config.train import TrainConfig
from polymodal.protocols import Task
from polymodal.training.precision import Precision


@dataclass(frozen=True)
class Plan:
    """How one training goes, everything chosen.

    Attributes:
        task: fitted; its metrics are measured.
        train: with every None filled in.
        metric: the one of the task's metrics that is watched.
        seed: of all random numbers: those of a step are a function of it and of the step's number.
        epochs: at most so many.
    """

    task: Task
    train: TrainConfig
    metric: str
    greater_is_better: bool
    device: torch.device
    precision: Precision
    seed: int
    epochs: int
