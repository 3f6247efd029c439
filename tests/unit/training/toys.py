"""The smallest parts that make a real `Model`, and a loader of arrays: every figure can be worked out by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from polymodal.calibration.temperature import Temperature
from polymodal.config.train import EarlyStoppingConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from polymodal.data.cells.dataset import Loader
from polymodal.layers.scores_head import ScoresHead
from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Model, Tower
from polymodal.protocols import Encoder, Fusion, Needs
from polymodal.training.objective import Objective
from polymodal.training.plan import Plan
from polymodal.training.step import Stepper
from polymodal.types import Batch, Cells, Scores, Tokens


@dataclass(frozen=True)
class Nothing:
    """No settings."""


class Through(nn.Module):
    """Hands numbers through, `scale` times over; frozen unless told otherwise. Every number is one token."""

    Config: ClassVar[type] = Nothing
    width = 1
    token_span = None
    keeps_time = False

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


class Linear(nn.Module):
    """A readout: a linear layer, which starts at zero, on the first token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, tokens: Tokens) -> Tensor:
        return self.linear(tokens.values[:, 0])


class SquaredError(nn.Module):
    """The loss of least squares."""

    def forward(self, scores: Scores, target: Cells) -> Tensor:
        return (scores.values[:, 0] - target.values[:, 0]) ** 2


class Squares:
    """Linear regression by least squares; the prior is zero."""

    Config: ClassVar[type] = Nothing
    metric: ClassVar[str] = "rmse"
    monitor: ClassVar[str] = "rmse"
    stratified: ClassVar[bool] = False
    targeted: ClassVar[bool] = True
    greater_is_better: ClassVar[Mapping[str, bool]] = {"rmse": False}

    def __init__(self, config: Any = None, statistics: Mapping[str, Any] | None = None) -> None:
        self.config, self.statistics = config, statistics

    @classmethod
    def recognise(cls, values: Sequence[object]) -> None:
        return None

    def sides(self, columns: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        return {"": tuple(columns)}

    def needs(self) -> Needs:
        return Needs()

    def fit(self, values: Sequence[object], *, column: str) -> dict[str, Any]:
        return {}

    def encode(self, value: object) -> np.ndarray | None:
        return np.array([value], dtype=np.float32)

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        return Cells.stacked(arrays, shape=(1,), dtype=np.float32)

    def head(self, widths: Mapping[str, int]) -> ScoresHead:
        (width,) = widths.values()
        return make_head(width)

    def rows(self, prediction: Scores, target: Cells | None) -> dict[str, np.ndarray]:
        assert target is not None
        return {"predicted": prediction.values[:, 0].numpy(), "target": target.values[:, 0].numpy()}

    def metrics(self, rows: Mapping[str, np.ndarray], weights: np.ndarray) -> Mapping[str, np.ndarray]:
        square = (rows["predicted"] - rows["target"]) ** 2
        return {"rmse": np.sqrt(weights @ square / weights.sum(axis=1))}

    def decode(self, prediction: Scores) -> dict[str, np.ndarray]:
        return {"prediction": prediction.values[:, 0].numpy()}


class Scripted(Squares):
    """Gives the figures of a script, one each time that `num_rows` rows are measured, and of other rows nothing.

    Attributes:
        predicted: what was measured then.
    """

    def __init__(self, values: Sequence[float], metric: str = "score", *, num_rows: int = 8) -> None:
        super().__init__()
        self.given, self.name, self.num_rows = iter(values), metric, num_rows
        self.predicted: list[np.ndarray] = []

    def metrics(self, rows: Mapping[str, np.ndarray], weights: np.ndarray) -> Mapping[str, np.ndarray]:
        if len(rows["target"]) != self.num_rows:
            return {}
        self.predicted.append(rows["predicted"].copy())
        return {self.name: np.full(len(weights), float(next(self.given)))}


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
        self.rows = np.arange(num_rows) + first_row
        self.bounds = [0]
        while self.bounds[-1] < num_rows:
            size = sizes[min(len(self.bounds), len(sizes)) - 1]
            self.bounds.append(min(self.bounds[-1] + size, num_rows))
        self.epochs: list[int] = []

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def digest(self, columns: Sequence[str]) -> str:
        parts = [self.bounds, self.first_row, [self.columns[name].tolist() for name in columns]]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def epoch(self, number: int) -> Iterator[Batch]:
        self.epochs.append(number)
        for start, stop in zip(self.bounds, self.bounds[1:], strict=False):
            yield Batch(
                cells={name: _cells(values[start:stop]) for name, values in self.columns.items()},
                rows=torch.arange(start, stop) + self.first_row,
                encoded={},
                target=None if self.target is None else make_target(self.target[start:stop]),
                weight=None if self.weight is None else torch.tensor(self.weight[start:stop], dtype=torch.float32),
            )


def _cells(values: np.ndarray) -> Cells:
    """Rows of numbers; NaN ends a row, and a row of NaN is a missing cell."""
    tensor = torch.tensor(values, dtype=torch.float32)
    return Cells(tensor.masked_fill(tensor.isnan(), 0), (~tensor.isnan()).sum(dim=1))


def make_target(values: Sequence[float] | np.ndarray | Tensor) -> Cells:
    """A target that is known for every row."""
    tensor = torch.as_tensor(values, dtype=torch.float32).unsqueeze(1)
    return Cells(tensor, torch.ones(len(tensor), dtype=torch.long))


def make_head(width: int, weight: Sequence[float] | None = None, *, criterion: nn.Module | None = None) -> ScoresHead:
    """Linear regression, from zero or from these weights."""
    readout = Linear(width)
    if weight is not None:
        with torch.no_grad():
            readout.linear.weight.copy_(torch.tensor([weight]))
    return ScoresHead(readout, criterion or SquaredError(), torch.zeros(1))


def assemble(
    encoders: Mapping[str, Encoder], columns: Mapping[str, Sequence[str]], fusion: Fusion, head: ScoresHead
) -> Model:
    """A model of one tower."""
    return Model({"": Tower(encoders, columns, fusion)}, head)


def with_heads(model: Model, heads: Mapping[str, ScoresHead]) -> Ensemble:
    """The model with unimodal heads, which learn beside it but are no members."""
    return Ensemble(model, heads, pools_heads=False, meaning="numbers", calibrator=Temperature())


def make_model(
    width: int = 3, *, dropout: float = 0.0, frozen: bool = False, criterion: nn.Module | None = None
) -> Model:
    """Linear regression from the column `x` of `width` numbers."""
    encoder = Through(dropout=dropout, frozen=frozen)
    return assemble({"x": encoder}, {"x": ("x",)}, Flat(width), make_head(width, criterion=criterion))


def coefficients_of(model: Model) -> np.ndarray:
    """Weights and then the bias of the head, in float64."""
    linear = model.head.readout.linear
    return torch.cat([linear.weight.flatten(), linear.bias]).detach().double().numpy()


def make_stepper(network: Model | Ensemble | Objective, *, steps_per_epoch: int = 3, **plan: Any) -> Stepper:
    """What updates a network, or an objective that is already around it; other arguments are those of `make_plan`."""
    objective = network if isinstance(network, Objective) else Objective(network)
    return Stepper(objective, make_plan(**plan), steps_per_epoch=steps_per_epoch)


def make_plan(
    *,
    task: Squares | None = None,
    epochs: int = 1,
    seed: int = 0,
    metric: str = "rmse",
    lr: float = 0.1,
    patience: int | None = None,
    precision: str = "float32",
    **train: Any,
) -> Plan:
    """Plain gradient descent at a constant rate unless told otherwise."""
    settings: dict[str, Any] = {
        "optimizer": OptimizerConfig(name="sgd", lr=lr, weight_decay=0.0, momentum=0.0),
        "schedule": ScheduleConfig(name="constant", warmup=0.0),
        "clip_norm": None,
        "early_stopping": EarlyStoppingConfig(metric=metric, patience=patience),
    }
    return Plan(
        task=task or Squares(),
        train=TrainConfig(**{**settings, **train}),
        metric=metric,
        greater_is_better=metric not in ("rmse", "loss"),
        device=torch.device("cpu"),
        precision=precision,
        seed=seed,
        epochs=epochs,
    )
