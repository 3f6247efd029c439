"""The smallest parts that make a real `Model`, and a loader of arrays: every figure can be worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from polymodal.data.loader import Loader
from polymodal.model import Model
from polymodal.settings.train import EarlyStoppingConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from polymodal.training.loop import Plan
from polymodal.types import Batch, Cells, Prediction, Scores, Tokens


@dataclass(frozen=True)
class Nothing:
    """No settings."""


class Through(nn.Module):
    """Hands numbers through, `scale` times over; frozen unless told otherwise. Every number is one token."""

    Config: ClassVar[type] = Nothing
    width = 1
    token_span = None

    def __init__(self, *, frozen: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.frozen = frozen
        self.scale = nn.Parameter(torch.ones(()), requires_grad=False)
        self.dropout = nn.Dropout(dropout)
        self.calls = 0

    @classmethod
    def needs(cls, config: Any) -> dict[str, Any]:
        return {}

    @property
    def portable(self) -> dict[str, Any]:
        return {}

    def forward(self, *cells: Cells) -> Tokens:
        self.calls += 1
        (column,) = cells
        values = self.dropout(column.values * self.scale).unsqueeze(2)
        places = torch.arange(column.values.shape[1], device=values.device)
        return Tokens(values, places < column.lengths.unsqueeze(1))


class Flat(nn.Module):
    """Puts all tokens of all inputs side by side in one."""

    Config: ClassVar[type] = Nothing
    keeps_time: ClassVar[bool] = False

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        values = torch.cat([t.values.masked_fill(~t.mask.unsqueeze(2), 0).flatten(1) for t in tokens.values()], dim=1)
        present = torch.stack([t.present for t in tokens.values()]).any(dim=0)
        return Tokens.vector(values, present)


class Squares(nn.Module):
    """Linear regression by least squares; the prior is zero."""

    Config: ClassVar[type] = Nothing
    metric: ClassVar[str] = "rmse"
    monitor: ClassVar[str] = "rmse"
    stratified: ClassVar[bool] = False
    scores: Scores = "numbers"
    prior: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("prior", torch.zeros(1), persistent=False)

    @property
    def readout(self) -> nn.Module:
        return self.linear

    @classmethod
    def recognise(cls, values: Sequence[object]) -> None:
        return None

    @classmethod
    def fit_target(cls, values: Sequence[object], *, column: str) -> dict[str, Any]:
        return {}

    @classmethod
    def encode_target(cls, values: Sequence[object], statistics: Mapping[str, Any]) -> np.ndarray:
        return np.asarray(values)

    def forward(self, tokens: Tokens) -> Prediction:
        present = tokens.present
        return Prediction(self.linear(tokens.values[:, 0]) * present.unsqueeze(1), present)

    def loss(self, prediction: Prediction, target: Tensor) -> Tensor:
        return (prediction.scores[:, 0] - target) ** 2

    def decode(self, scores: np.ndarray) -> dict[str, np.ndarray]:
        return {"prediction": scores[:, 0]}

    def metrics(self, scores: np.ndarray, target: np.ndarray) -> dict[str, float]:
        return {"rmse": float(np.sqrt(np.mean((scores[:, 0] - target) ** 2)))}


class Arrays(Loader):
    """Serves rows of arrays in order, in batches of the given sizes (the last size again and again)."""

    def __init__(
        self,
        columns: Mapping[str, np.ndarray],
        target: np.ndarray | None = None,
        *,
        weight: np.ndarray | None = None,
        sizes: Sequence[int] = (1000,),
        first_row: int = 0,
    ) -> None:
        self.columns, self.target, self.weight, self.first_row = columns, target, weight, first_row
        num_rows = len(next(iter(columns.values())))
        self.bounds = [0]
        while self.bounds[-1] < num_rows:
            size = sizes[min(len(self.bounds), len(sizes)) - 1]
            self.bounds.append(min(self.bounds[-1] + size, num_rows))
        self.epochs: list[int] = []

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def epoch(self, number: int) -> Iterator[Batch]:
        self.epochs.append(number)
        for start, stop in zip(self.bounds, self.bounds[1:], strict=False):
            yield Batch(
                cells={name: _cells(values[start:stop]) for name, values in self.columns.items()},
                rows=torch.arange(start, stop) + self.first_row,
                encoded={},
                target=None if self.target is None else torch.tensor(self.target[start:stop], dtype=torch.float32),
                weight=None if self.weight is None else torch.tensor(self.weight[start:stop], dtype=torch.float32),
            )


def _cells(values: np.ndarray) -> Cells:
    """Rows of numbers; NaN ends a row, and a row of NaN is a missing cell."""
    tensor = torch.tensor(values, dtype=torch.float32)
    return Cells(tensor.masked_fill(tensor.isnan(), 0), (~tensor.isnan()).sum(dim=1))


def make_model(width: int = 3, *, dropout: float = 0.0, frozen: bool = False) -> Model:
    """Linear regression from the column `x` of `width` numbers."""
    return Model({"x": Through(dropout=dropout, frozen=frozen)}, {"x": ("x",)}, Flat(width), Squares(width))


def make_plan(
    *, epochs: int = 1, seed: int = 0, metric: str = "rmse", lr: float = 0.1, patience: int | None = None, **train: Any
) -> Plan:
    """Plain gradient descent at a constant rate unless told otherwise."""
    settings: dict[str, Any] = {
        "optimizer": OptimizerConfig(name="sgd", lr=lr, weight_decay=0.0, momentum=0.0),
        "schedule": ScheduleConfig(name="constant", warmup=0.0),
        "clip_norm": None,
        "early_stopping": EarlyStoppingConfig(metric=metric, patience=patience),
    }
    return Plan(
        train=TrainConfig(**{**settings, **train}),
        metric=metric,
        larger_is_better=metric not in ("rmse", "loss"),
        device=torch.device("cpu"),
        precision="float32",
        seed=seed,
        epochs=epochs,
    )
