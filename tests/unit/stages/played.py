"""A fitter that plays its part: encoders have nothing to read, because their tokens are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from polymodal.baselines.scaling import Block
from polymodal.config.run_config import RunConfig, make
from polymodal.metrics.history import History
from polymodal.models.budget import Budget
from polymodal.models.model import Network
from polymodal.models.stage import FitResult, Parts, Stage, stage_of
from polymodal.protocols import Task
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.ordinal import Ordinal, OrdinalConfig
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.tasks.tag import Tag, TagConfig
from polymodal.types import Cells, Tokens


def classify(values: Sequence[str], **settings: Any) -> Classify:
    config = ClassifyConfig(**settings)
    return Classify(config, Classify(config).fit(values, column="label"))


def ordinal(values: Sequence[int]) -> Ordinal:
    return Ordinal(OrdinalConfig(), Ordinal(OrdinalConfig()).fit(values, column="grade"))


def regress(values: Sequence[Any], **settings: Any) -> Regress:
    config = RegressConfig(**settings)
    return Regress(config, Regress(config).fit(values, column="amount"))


def tag(values: Sequence[Sequence[str]]) -> Tag:
    config = TagConfig(min_count=1)
    return Tag(config, Tag(config).fit(values, column="tags"))


def encoded(task: Task, values: Sequence[object]) -> Cells:
    return task.collate([task.encode(value) for value in values])


@dataclass(frozen=True)
class Nothing:
    """No settings."""


class Silent(nn.Module):
    """An encoder that is never asked."""

    Config: ClassVar[type] = Nothing
    token_span = None
    keeps_time = False
    frozen = True
    portable: ClassVar[dict[str, Any]] = {}

    def __init__(self, width: int, *, takes_features: bool = False) -> None:
        super().__init__()
        self.width, self.takes_features = width, takes_features

    @classmethod
    def needs(cls, config: Any) -> dict[str, Any]:
        return {}

    def forward(self, *cells: Cells) -> Tokens:
        raise AssertionError("the tokens are given")


class Played:
    """A fitter whose networks learn nothing by gradient descent.

    Args:
        task: fitted.
        tokens: by input, what its encoder gives for every row.
        target: of every row.
        settings: of the run: `stage`, `fusion`, ...
        takes_features: tokens are handcrafted features, which are not standardised again.
        handcrafted: by input, what members of an ensemble read beside the tokens.
        weight: of every row; None: all count alike.
        predictions: by input, what is said of every row by the input alone; None: what its head makes of the tokens.
        budget: None: there is time for everything.
    """

    device = torch.device("cpu")
    estimators: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        task: Task,
        tokens: Mapping[str, Tokens],
        target: Cells,
        *,
        settings: Mapping[str, Any],
        takes_features: bool = False,
        handcrafted: Mapping[str, np.ndarray] | None = None,
        weight: np.ndarray | None = None,
        predictions: Mapping[str, Tokens] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.task, self.all_tokens, self.all_targets = task, tokens, target
        self.config: RunConfig = make(dict(settings))
        self.stage: Stage = stage_of(self.config)
        self.takes_features, self.predictions = takes_features, predictions
        self.budget = budget or Budget()
        self.handcrafted, self.weight = handcrafted or {}, weight
        self.rows = np.arange(len(target.values))

    def build(self) -> Network:
        torch.manual_seed(0)
        encoders = {
            name: Silent(model_input.width, takes_features=self.takes_features)
            for name, model_input in self.all_tokens.items()
        }
        columns = {name: (name,) for name in encoders}
        return self.stage.assemble(Parts(encoders, columns, {"": tuple(encoders)}, self.task, self.config))

    def learn(self, validation: np.ndarray | None = None, before: FitResult | None = None) -> FitResult:
        """Of all rows; without validation rows unless they are given."""
        validation = self.rows[:0] if validation is None else validation
        return self.stage.learn(self, self.rows, validation, before=before)

    def fit(self, network, rows, validation, *, phase, epochs=None, lr_factor=1.0, seed=None) -> History:
        network.eval()
        return History(best_epoch=1)

    def tokens(self, network, rows, function=None) -> dict[str, Tokens]:
        given = self.all_tokens
        if function is not None:
            given, function = (self.predictions, None) if self.predictions else (given, function)
        found = {name: self.some_of(given[name], name, rows) for name in network.encoders}
        with torch.inference_mode():
            return found if function is None else dict(function(found))

    def some_of(self, tokens: Tokens, name: str, rows: np.ndarray) -> Tokens:
        """Tokens of some rows, with the features that a batch brings where there are any."""
        features = None
        if name in self.handcrafted:
            known = np.where(self.all_tokens[name].present.numpy()[:, None], self.handcrafted[name], np.nan)
            features = torch.from_numpy(known[rows]).float()
        return Tokens(tokens.values[rows], tokens.mask[rows], features)

    def features(self, network: Network, name: str, rows: np.ndarray) -> list[list[Block]]:
        return [[(self.handcrafted[name][rows], self.all_tokens[name].present.numpy()[rows])]]

    def target(self, rows: np.ndarray) -> Cells:
        return self.all_targets.rows(torch.from_numpy(rows))

    def weights(self, rows: np.ndarray) -> torch.Tensor:
        return torch.ones(len(rows)) if self.weight is None else torch.from_numpy(self.weight[rows]).float()

    def present(self, columns: Sequence[str], rows: np.ndarray) -> np.ndarray:
        masks = [self.all_tokens[column].present.numpy()[rows] for column in columns]
        return np.any(masks, axis=0)
