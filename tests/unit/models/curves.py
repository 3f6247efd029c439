"""Small parts of models with something to learn, and batches written as rows of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from polymodal.fusions.concat import Concat, ConcatConfig
from polymodal.layers.scores_head import ScoresHead
from polymodal.models.model import Model, Tower
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.types import Batch, Cells, Scores, Tokens

ABSENT = torch.nan  # of a cell, in the tests' shorthand
TWO = {"a": ("x",), "b": ("y",)}
TASK = Regress(RegressConfig(dropout=0.0), {"column": "y", "count": 4, "mean": 0.0, "std": 1.0})


@dataclass(frozen=True)
class Nothing:
    """No settings."""


class Curve(nn.Module):
    """One number of each column -> one token; remembers the cells it was given."""

    Config: ClassVar[type] = Nothing
    width = 3
    token_span = None
    keeps_time = False
    frozen = False
    portable: ClassVar[dict[str, Any]] = {}

    def __init__(self, num_columns: int = 1) -> None:
        super().__init__()
        self.linear = nn.Linear(num_columns, self.width)
        self.seen: list[Tensor] = []

    @classmethod
    def needs(cls, config: Any) -> dict[str, Any]:
        return {}

    def forward(self, *cells: Cells) -> Tokens:
        self.seen.append(torch.cat([column.values for column in cells], dim=1))
        return Tokens.vector(self.curve(self.seen[-1]))

    def curve(self, numbers: Tensor) -> Tensor:
        """The formula: numbers of the columns -> token."""
        return torch.tanh(numbers @ self.linear.weight.T + self.linear.bias)


class Mean(nn.Module):
    """A fitted model: the mean of the features, times 1, 2, ... for each score."""

    def __init__(self, num_scores: int = 1) -> None:
        super().__init__()
        self.num_scores = num_scores

    def forward(self, tokens: Mapping[str, Tokens]) -> Scores:
        (only,) = tokens.values()
        mean = only.values.mean(dim=(1, 2)).unsqueeze(1)
        return Scores(mean * torch.arange(1.0, self.num_scores + 1), only.present)


def make_tower(columns: Mapping[str, Sequence[str]]) -> Tower:
    encoders = {name: Curve(len(model_input)) for name, model_input in columns.items()}
    return Tower(encoders, columns, Concat(ConcatConfig(width=4), widths=dict.fromkeys(columns, Curve.width)))


def make_model(columns: Mapping[str, Sequence[str]] | None = None) -> Model:
    """Regression from two columns, unless told otherwise; always with the same weights."""
    torch.manual_seed(0)
    tower = make_tower(TWO if columns is None else columns)
    return Model({"": tower}, make_head(tower.fusion.width))


def make_head(width: int = Curve.width) -> ScoresHead:
    return TASK.head({"": width})


def make_batch(encoded: dict[str, Tokens] | None = None, **columns: list[float]) -> Batch:
    cells = {}
    for name, numbers in columns.items():
        values = torch.tensor(numbers).unsqueeze(1)
        cells[name] = Cells(values.nan_to_num(), (~values.isnan().squeeze(1)).long())
    return Batch(cells, rows=torch.arange(len(next(iter(columns.values())))), encoded=encoded or {})


def row_of(batch: Batch, row: int) -> Batch:
    index = torch.tensor([row])
    return Batch({name: cells.rows(index) for name, cells in batch.cells.items()}, rows=index, encoded={})


def grown(module: nn.Module) -> nn.Module:
    """The same with other weights, none of which is zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module
