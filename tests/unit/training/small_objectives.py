"""A small objective for every task, in float64 and without dropout, on rows whose numbers are steps in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from polymodal.config.run_config import Part, part_settings
from polymodal.config.train import EarlyStoppingConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from polymodal.models.decisions import Identity
from polymodal.models.model import Model, Tower
from polymodal.protocols import Task
from polymodal.registry import load
from polymodal.training.objective import Objective
from polymodal.training.plan import Plan
from polymodal.types import Batch, Cells, Tokens

ROWS, STEPS, WIDTH = 32, 12, 4

TARGETS: dict[str, tuple[str, dict[str, Any], list[object]]] = {
    "classify": ("classify", {"dropout": 0.0}, ["a", "b", "c", "b"] * (ROWS // 4)),
    "one against the rest": ("classify", {"loss": "bce", "dropout": 0.0}, ["a", "b", "c", "b"] * (ROWS // 4)),
    "regress": ("regress", {"dropout": 0.0}, [0.5, 1.5, -2.0, None] * (ROWS // 4)),
    "ordinal": ("ordinal", {"dropout": 0.0}, [1, 3, 2, 2] * (ROWS // 4)),
    "tag": ("tag", {"dropout": 0.0, "min_count": 1}, [["x"], ["x", "y"], [], ["y"]] * (ROWS // 4)),
    "match": ("match", {"sides": {"left": ["a"], "right": ["b"]}, "width": 6, "dropout": 0.0}, []),
    "transcribe": ("transcribe", {"dropout": 0.0}, ["ab", "ba", "a", "bab"] * (ROWS // 4)),
}


@dataclass(frozen=True)
class Nothing:
    """No settings."""


class Steps(nn.Module):
    """Each number of a row -> one token."""

    Config: ClassVar[type] = Nothing
    width, token_span, keeps_time, frozen = WIDTH, 1.0, True, False

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, WIDTH)

    @classmethod
    def needs(cls, config: Any) -> dict[str, Any]:
        return {}

    @property
    def portable(self) -> dict[str, Any]:
        return {}

    def forward(self, cells: Cells) -> Tokens:
        mask = torch.arange(cells.values.shape[1]) < cells.lengths.unsqueeze(1)
        return Tokens(self.linear(cells.values.unsqueeze(2)).tanh(), mask)


def make(name: str) -> tuple[Task, Objective, Batch]:
    """A task, its objective, and a batch of all rows."""
    kind, settings, values = TARGETS[name]
    config = part_settings("tasks", Part(name=kind, **settings))
    task: Task = load("tasks", kind)(config, load("tasks", kind)(config).fit(values, column="y"))
    torch.manual_seed(0)
    sides = task.sides(["a", "b"] if kind == "match" else ["a"])
    towers = {
        side: Tower({names[0]: Steps()}, {names[0]: names}, Identity(WIDTH, anchor=names[0]))
        for side, names in sides.items()
    }
    objective = Objective(Model(towers, task.head(dict.fromkeys(towers, WIDTH)))).double()
    rng = np.random.default_rng(0)
    lengths = rng.integers(6, STEPS + 1, (2, ROWS))
    lengths[0, 5] = 0  # a missing cell
    cells = {
        column: Cells(torch.from_numpy(rng.normal(size=(ROWS, STEPS))), torch.from_numpy(of_column))
        for column, of_column in zip("ab", lengths, strict=True)
    }
    target = task.collate([task.encode(value) for value in values]) if values else None
    weight = torch.from_numpy(rng.uniform(0.5, 2.0, ROWS))
    return task, objective, Batch(cells, torch.arange(ROWS), {}, target, weight)


def take(batch: Batch, rows: torch.Tensor) -> Batch:
    """Some rows of a batch."""
    assert batch.weight is not None
    return Batch(
        {name: cells.rows(rows) for name, cells in batch.cells.items()},
        batch.rows[rows],
        {},
        None if batch.target is None else batch.target.rows(rows),
        batch.weight[rows],
    )


def plan(task: Task, *, epochs: int = 1) -> Plan:
    """Plain gradient descent."""
    return Plan(
        task=task,
        train=TrainConfig(
            optimizer=OptimizerConfig(name="sgd", lr=0.1, weight_decay=0.0, momentum=0.0),
            schedule=ScheduleConfig(name="constant", warmup=0.0),
            clip_norm=None,
            early_stopping=EarlyStoppingConfig(metric=task.metric),
        ),
        metric=task.metric,
        greater_is_better=task.greater_is_better[task.metric],
        device=torch.device("cpu"),
        precision="float32",
        seed=0,
        epochs=epochs,
    )
