"""Matching: the two sides of a row are embedded in one space, near one another and far from those of other rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.abilities import InputFeatures
from polymodal.config.node import settings
from polymodal.errors import ConfigError, did_you_mean
from polymodal.layers.by_name import ByName
from polymodal.layers.mlp import MultiLayerPerceptron
from polymodal.layers.pooling import masked_mean
from polymodal.metrics.weighted import Values, Weights
from polymodal.protocols import Task
from polymodal.types import Cells, Embeddings, Tokens, full_precision

_TOP = (1, 5, 10)
_CHUNK = 1024  # queries compared with all candidates at a time
_EQUAL = 1e-6  # cosines that differ by less are equal: as well as networks of float32 know them
_SHARPEST = 100.0  # the largest factor on cosines, as in CLIP: beyond it training becomes unstable


@settings
class MatchConfig:
    """Settings of matching.

    Attributes:
        sides: two names, and the columns that form each side: `{picture: [image], words: [name, tags]}`.
        width: of the common space.
        hidden: width of a hidden layer in front of it, on each side; 0: none.
        dropout: probability, before the last layer.
        temperature: by which cosines are divided at the beginning; it is learned.
    """

    sides: dict[str, tuple[str, ...]] = field(default_factory=dict)
    width: PositiveInt = 256
    hidden: Annotated[int, Field(ge=0)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 0.07


class Match(Task):
    """No target: a row is right where each of its sides finds the other among those of all rows.

    Metrics are of both directions together, and of each: `recall_at_10_picture_to_words`. A row without one of its
    sides is not measured.
    """

    Config: ClassVar[type] = MatchConfig
    kind: ClassVar[str] = "matching"
    metric: ClassVar[str] = "recall_at_10"
    monitor: ClassVar[str] = "mean_reciprocal_rank"  # finer than a recall over few rows
    targeted: ClassVar[bool] = False
    metric_words: ClassVar[Mapping[str, str]] = {
        **{f"recall_at_{k}": f"share of rows whose partner is among the first {k} found" for k in _TOP},
        "mean_reciprocal_rank": "mean of one over the place at which the partner is found",
        "median_rank": "place at which the partner of the median row is found",
    }
    greater_is_better: ClassVar[Mapping[str, bool]] = {name: name != "median_rank" for name in metric_words}
    baseline_rows: ClassVar[int] = 20_000

    def __init__(self, config: MatchConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.names = list(config.sides)

    def sides(self, columns: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """The columns of each side.

        Raises:
            ConfigError: the settings do not name two sides that have all of the columns between them.
        """
        given = {side: tuple(names) for side, names in self.config.sides.items()}
        if len(given) != 2 or not all(given.values()):
            first, others = ", ".join(columns[:1]), ", ".join(columns[1:])
            example = f"--set 'task={{name: match, sides: {{one: [{first}], other: [{others}]}}}}'"
            raise ConfigError(
                f"task.sides: matching needs two sides with at least one column each, not {len(given)}. Columns: "
                f"{', '.join(columns)}. Name the sides, for example {example}."
            )
        named = [name for names in given.values() for name in names]
        for name in named:
            if name not in columns:
                raise ConfigError(
                    f"task.sides: no column {name!r} enters the model.{did_you_mean(name, columns)} Columns: "
                    f"{', '.join(columns)}. `polymodal inspect` says why a column is left out."
                )
            if named.count(name) > 1:
                raise ConfigError(f"task.sides: column {name!r} is named twice; it belongs to one side.")
        if left := [name for name in columns if name not in named]:
            raise ConfigError(
                f"task.sides: column {left[0]!r} is on neither side. Name it on one of them, or drop it "
                f"(--drop {left[0]})."
            )
        return given

    def fit(self, values: Sequence[object], *, column: str) -> dict[str, Any]:
        """There is no target."""
        return {}

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """There is no target."""
        return Cells.stacked(arrays, shape=(1,), dtype=np.int64)

    def head(self, widths: Mapping[str, int]) -> MatchHead:
        return MatchHead(self.config, widths)

    def rows(self, prediction: Embeddings, target: Cells | None) -> dict[str, np.ndarray]:
        """Rank [N, 2] of the other side of the same row, from each side; NaN where one of them is absent."""
        return {"rank": np.stack([_ranks(prediction, side) for side in (0, 1)], axis=1)}

    def metrics(self, rows: Mapping[str, np.ndarray], weights: Weights) -> dict[str, Values]:
        """Recall among the first k, mean reciprocal rank and (lower) median rank; ties count as half before."""
        measured = ~np.isnan(rows["rank"]).any(axis=1)
        rank, weights = rows["rank"][measured], weights[:, measured]
        by_direction = {
            f"{one}_to_{other}": _measure(rank[:, side], weights)
            for side, (one, other) in enumerate((self.names, self.names[::-1]))
        }
        first, second = by_direction.values()
        both = {metric: (first[metric] + second[metric]) / 2 for metric in first}
        return both | {
            f"{metric}_{name}": values for name, of_one in by_direction.items() for metric, values in of_one.items()
        }

    def decode(self, prediction: Embeddings) -> dict[str, np.ndarray]:
        """`prediction`: the row, from 0, whose second side is nearest to the first side of each; `similarity` of both.

        -1 and NaN where the first side is absent, or every second one.
        """
        query, item = prediction.values.unbind(dim=1)
        best, similarity = np.full(len(query), -1), np.full(len(query), np.nan)
        there = prediction.mask[:, 1]
        for start in range(0, len(query), _CHUNK) if bool(there.any()) else ():
            found = (query[start : start + _CHUNK] @ item.T).masked_fill(~there, -torch.inf).max(dim=1)
            best[start : start + _CHUNK], similarity[start : start + _CHUNK] = found.indices, found.values
        absent = ~prediction.mask[:, 0].numpy()
        best[absent], similarity[absent] = -1, np.nan
        return {"prediction": best, "similarity": similarity}

    def baselines(
        self, features: Mapping[str, InputFeatures], target: Cells | None, num_rows: int
    ) -> dict[str, Embeddings]:
        """`chance`: random directions."""
        generator = torch.Generator().manual_seed(0)
        values = F.normalize(torch.randn(num_rows, 2, self.config.width, generator=generator), dim=2)
        return {"chance": Embeddings(values, torch.ones(num_rows, 2, dtype=torch.bool))}


class MatchHead(nn.Module):
    """Mean of each side's tokens -> a projection of its own -> a point on the unit sphere.

    The loss is InfoNCE in both directions (van den Oord et al. 2018, arXiv 1807.03748, equation 4; Radford et al. 2021,
    arXiv 2103.00020, figure 3): the cosines of a row's two sides, divided by a learned temperature, against those with
    the sides of the other rows of the batch.
    """

    in_batch = True

    def __init__(self, config: MatchConfig, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.sides = list(config.sides)  # in this order a prediction holds them
        self.projections = ByName({side: _Projection(config, width) for side, width in widths.items()})
        self.log_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))

    def forward(self, tokens: Mapping[str, Tokens], target: Cells | None = None, progress: float = 1.0) -> Embeddings:
        """Points times the root of the inverse temperature: what follows, the loss, has nothing to learn."""
        points = self.predict(tokens)
        factor = (self.log_scale.clamp_max(math.log(_SHARPEST)) / 2).exp()
        return Embeddings(points.values * factor, points.mask)

    def predict(self, tokens: Mapping[str, Tokens]) -> Embeddings:
        """Points of length 1, zero where a side is absent."""
        points = [self.projections[side](tokens[side]) for side in self.sides]
        mask = torch.stack([tokens[side].present for side in self.sides], dim=1)
        return Embeddings(torch.stack(points, dim=1) * mask.unsqueeze(2), mask)

    def loss(self, output: Embeddings, target: Cells | None) -> Float[Tensor, " B"]:
        """Of each row the mean of both directions; 0 where a side is absent, and such a side is no negative."""
        first, second = full_precision(output.values).unbind(dim=1)
        both = output.mask.all(dim=1)
        cosines = first @ second.T
        place = torch.arange(len(both), device=both.device)
        losses = [
            F.cross_entropy(matrix.masked_fill(~there, torch.finfo(matrix.dtype).min / 2), place, reduction="none")
            for matrix, there in ((cosines, output.mask[:, 1]), (cosines.T, output.mask[:, 0]))
        ]
        return torch.where(both, (losses[0] + losses[1]) / 2, 0)


class _Projection(nn.Module):
    """Mean of the tokens "B T D" -> layers -> points "B E" of length 1."""

    def __init__(self, config: MatchConfig, width: int) -> None:
        super().__init__()
        hidden = [config.hidden] if config.hidden else []
        self.body = MultiLayerPerceptron(width, hidden, activation_name="gelu", dropout=0.0)
        self.norm = nn.LayerNorm(self.body.width)
        self.dropout = nn.Dropout(config.dropout)
        self.linear = nn.Linear(self.body.width, config.width)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B E"]:
        pooled = masked_mean(tokens.values, tokens.mask)
        return F.normalize(full_precision(self.linear(self.dropout(self.norm(self.body(pooled))))), dim=1)


def _ranks(prediction: Embeddings, side: int) -> Float[np.ndarray, " N"]:
    """Place, from 1, of the other side of the same row among those of all rows; ties count as half before."""
    query, candidate = prediction.values[:, side].double(), prediction.values[:, 1 - side].double()
    there = prediction.mask[:, 1 - side]
    ranks = torch.full((len(query),), torch.nan, dtype=torch.float64)
    for start in range(0, len(query), _CHUNK):
        rows = torch.arange(start, min(start + _CHUNK, len(query)))
        cosines = query[rows] @ candidate.T
        surplus = cosines - cosines.gather(1, rows.unsqueeze(1))
        others = there.expand(len(rows), -1).clone()
        others[torch.arange(len(rows)), rows] = False
        before, equal = ((surplus > _EQUAL) & others).sum(dim=1), ((surplus.abs() <= _EQUAL) & others).sum(dim=1)
        ranks[rows] = 1.0 + before.double() + equal.double() / 2
    return ranks.masked_fill(~prediction.mask.all(dim=1), torch.nan).numpy()


def _measure(rank: Float[np.ndarray, " N"], weights: Weights) -> dict[str, Values]:
    """Metrics of one direction; NaN where no row counts."""
    total = weights.sum(axis=1)
    safe = np.where(total > 0, total, np.nan)
    found = {f"recall_at_{k}": weights @ (rank <= k).astype(float) / safe for k in _TOP}
    found["mean_reciprocal_rank"] = weights @ (1 / rank) / safe
    order = np.argsort(rank)
    reached = weights[:, order].cumsum(axis=1) >= total[:, None] / 2
    middle = rank[order][reached.argmax(axis=1)] if len(rank) else np.full(len(weights), np.nan)
    found["median_rank"] = np.where(total > 0, middle, np.nan)
    return found
