"""Each input learns by itself, with its own encoder and head; then what they say is combined."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

import numpy as np
import torch
from pydantic import ConfigDict, Field
from torch import nn

from polymodal import registry
from polymodal.config import RunConfig, part_settings
from polymodal.errors import ConfigError, did_you_mean
from polymodal.model import Model
from polymodal.timing import Learned, Parts, Training, reads_tokens
from polymodal.timings._combining import learn_combination
from polymodal.timings._fitting import learn_machine, require_frozen
from polymodal.timings._machines import Machine
from polymodal.timings._opinions import (
    RULES,
    RULES_OF_NUMBERS,
    Alone,
    Branch,
    Combination,
    Decisions,
    Stack,
    without_layers,
)
from polymodal.timings._predictors import PredictorField, check_predictor, machine_for
from polymodal.types import Encoder, Head, Scores, Tokens

if TYPE_CHECKING:
    from polymodal.training.history import History

_ENOUGH = 50  # validation rows to learn a combination from
_FOLDS = 5


@dataclass(frozen=True)
class LateConfig:
    """Settings of `Late`.

    Attributes:
        folds: a combination with something to learn learns from rows that the inputs did not learn from: from the
            validation rows (0), or from all training rows, each as seen by inputs that learned from other folds of
            them. None: 0 with at least 50 validation rows, else 5.
        branches: by input, a predictor that scikit-learn fits, in the place of layers: `{photo: svm, note: {name:
            logistic, c: 5}}`. It gets what an encoder without anything to learn gives: simple features, unless the
            user names a frozen encoder.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    folds: Annotated[int, Field(ge=0)] | None = None
    branches: dict[str, PredictorField] = field(default_factory=dict)


class Late:
    """Cells -> encoder -> head for each input; their scores -> fusion: fusion of decisions, also called asynchronous.

    The fusions `average`, `weighted`, `max`, `product` and `sum` are rules on probabilities (`Combination`); the other
    ones that take vectors are stacked: a head learns from what they make of the inputs' scores (`Stack`). Each input
    stops early by itself. An absent input says nothing; a row with none gets the prior.
    """

    Config: ClassVar[type] = LateConfig

    def __init__(self, config: LateConfig) -> None:
        self.config = config

    def settings_of_fusion(self) -> dict[str, Any]:
        """Scores are combined as they are."""
        return {"project": False}

    def encoder(self, name: str, modality: str) -> str | None:
        """Simple features for scikit-learn; else the table of defaults knows."""
        return "simple" if name in self.config.branches else None

    def check(self, config: RunConfig, scores: Scores, inputs: Sequence[str]) -> None:
        name, numbers = config.fusion.name or "", scores == "numbers"
        if reads_tokens(name):
            raise ConfigError(
                f"timing 'late' with fusion {name!r}: each input gives one vector of scores by then, and there are no "
                "tokens to attend to. Use timing intermediate or early, or another fusion: average, weighted, concat."
            )
        for branch, predictor in self.config.branches.items():
            if branch not in inputs:
                raise ConfigError(
                    f"timing.branches: no input is called {branch!r}.{did_you_mean(branch, inputs)} "
                    f"Inputs: {', '.join(inputs)}."
                )
            if predictor.name == "mlp":
                raise ConfigError(f"timing.branches.{branch}: layers are what an input gets anyway; leave it out.")
            check_predictor(f"timing.branches.{branch}", predictor, numbers=numbers)
        if self.config.folds == 1:
            raise ConfigError("timing.folds: one fold leaves no rows to learn from; use 0, or 2 and more.")
        if numbers and name in RULES and name not in RULES_OF_NUMBERS:
            raise ConfigError(
                f"timing 'late' with fusion {name!r}: of predicted numbers, unlike probabilities, the {name} is no "
                f"prediction. Use {' or '.join(RULES_OF_NUMBERS)}, or stack them with concat."
            )
        if name in RULES and getattr(part_settings("fusions", config.fusion), "project", False):
            raise ConfigError(
                f"timing 'late' with fusion {name!r}: it combines probabilities as they are. "
                "Set fusion.project to false."
            )

    def assemble(self, parts: Parts) -> Model:
        if len(set(map(id, parts.encoders.values()))) < len(parts.encoders):
            raise ConfigError("timing 'late': inputs that learn by themselves cannot share an encoder.")
        head = parts.head(1)
        num_scores = len(head.prior)
        branches = {
            name: Branch(encoder, self._head(name, encoder, parts), num_scores=num_scores)
            for name, encoder in parts.encoders.items()
        }
        fusion, top = _combination(parts, head, num_scores)
        return Decisions(cast(Mapping[str, Encoder], branches), parts.columns, cast(Any, fusion), top)

    def _head(self, name: str, encoder: Encoder, parts: Parts) -> nn.Module:
        """A head of the task, or what the predictor of the input will fill."""
        if name not in self.config.branches:
            return cast(nn.Module, parts.head(encoder.width))
        require_frozen(f"timing.branches.{name}", name, encoder)
        return machine_for(self.config.branches[name], encoder.width, parts.head(1))

    def learn(
        self, trainer: Training, rows: np.ndarray, validation: np.ndarray, *, before: Learned | None = None
    ) -> Learned:
        model = trainer.build()
        histories = self._learn_branches(trainer, model, rows, validation, before)
        if before is not None:
            model.fusion.load_state_dict(before.model.fusion.state_dict())  # type: ignore[attr-defined]  # it is a module
            model.head.load_state_dict(before.model.head.state_dict())  # type: ignore[attr-defined]  # it is a module
            return Learned(model, histories)
        scores = None
        if any(True for part in (model.fusion, model.head) for _ in cast(nn.Module, part).parameters()):
            interrupted = any(history.interrupted for history in histories.values())
            folds = self._folds(validation)
            if folds and not interrupted:
                _combine(trainer, model, self._of_folds(trainer, rows, folds, histories))
            elif len(validation):
                scores = _combine(trainer, model, [(model, validation)])
            else:  # Ctrl-C before the folds: better from rows that are known too well than from none
                _combine(trainer, model, [(model, rows)])
        return Learned(model.eval(), histories, scores)

    def _folds(self, validation: np.ndarray) -> int:
        """How many; 0: the validation rows do."""
        folds = self.config.folds
        if folds is None:
            return 0 if len(validation) >= _ENOUGH else _FOLDS
        if not folds and not len(validation):
            raise ConfigError(
                "timing.folds is 0, but there are no validation rows to learn the combination from. Leave it out, or "
                "set split.validation."
            )
        return folds

    def _learn_branches(
        self,
        trainer: Training,
        model: Model,
        rows: np.ndarray,
        validation: np.ndarray,
        before: Learned | None,
        *,
        phase: str | None = None,
    ) -> dict[str, History]:
        """Trains one input after the other, each on the rows that have it; Ctrl-C leaves the others silent."""
        histories: dict[str, History] = {}
        phase = phase or ("train" if before is None else "refit")
        for name in model.encoders:
            columns = model.columns[name]
            mine, check = (some[trainer.present(columns, some)] for some in (rows, validation))
            if not len(mine):
                continue  # nothing to learn from: it says nothing
            branch = cast(Branch, model.encoders[name])
            alone = _alone(name, branch, columns, model.head)
            if isinstance(branch.head, Machine):
                fitted = learn_machine(trainer, alone, branch.head, self.config.branches[name], mine, key=name)
                branch.heard.fill_(fitted)
                continue
            found = before.histories.get(f"train:{name}") if before else None
            if before and not (found and found.best_epoch):
                continue  # it did not learn before, either
            history = trainer.fit(
                alone, mine, check, phase=f"{phase}:{name}", epochs=found.best_epoch if found else None
            )
            histories[f"{phase}:{name}"] = history
            branch.heard.fill_(bool(history.best_epoch))
            if history.interrupted:
                break
        return histories

    def _of_folds(
        self, trainer: Training, rows: np.ndarray, num_folds: int, histories: Mapping[str, History]
    ) -> list[tuple[Model, np.ndarray]]:
        """For each fold of the training rows, a model that learned from the others, for as many epochs as were best."""
        found = Learned(trainer.build(), histories)
        order = np.random.default_rng(trainer.config.seed).permutation(rows)
        pairs = []
        for place, fold in enumerate(np.array_split(order, min(num_folds, len(order))), start=1):
            model, others = trainer.build(), np.sort(np.setdiff1d(rows, fold))
            self._learn_branches(trainer, model, others, fold[:0], found, phase=f"fold{place}")
            pairs.append((model, np.sort(fold)))
        return pairs


def _combination(parts: Parts, head: Head, num_scores: int) -> tuple[nn.Module, Head]:
    """What combines the scores of the inputs, and the head on top of it."""
    name = parts.config.fusion.name or ""
    if name not in RULES:
        stack = Stack(cast(nn.Module, parts.fusion(dict.fromkeys(parts.encoders, num_scores))), head)
        return stack, parts.head(stack.width)
    rule = RULES[name]
    combination = Combination(rule, nn.Identity(), head)
    widths = dict.fromkeys(parts.encoders, combination.width_inside)
    if rule.fusion == name:
        combination.fusion = cast(nn.Module, parts.fusion(widths))
    else:
        cls = registry.load("fusions", rule.fusion)
        combination.fusion = cls(dataclasses.replace(cls.Config(), project=False), widths=widths)
    return combination, without_layers(head)


def _alone(name: str, branch: Branch, columns: tuple[str, ...], head: Head) -> Model:
    """A model of one input, made of its branch; where scikit-learn fits that, the head is only a stand-in."""
    encoder = cast(Encoder, branch.encoder)
    own = head if isinstance(branch.head, Machine) else cast(Head, branch.head)
    return Model({name: encoder}, {name: columns}, Alone(encoder.width), own)


def _combine(trainer: Training, model: Model, heard: list[tuple[Model, np.ndarray]]) -> np.ndarray | None:
    """Learns the combination of a model from what models say of rows that they did not learn from."""
    heard = [(of_rows, rows) for of_rows, rows in heard if len(rows)]
    if not heard:
        return None
    said = [trainer.tokens(of_rows, rows) for of_rows, rows in heard]
    rows = np.concatenate([rows for _, rows in heard])
    opinions = {name: _below([tokens[name] for tokens in said]) for name in model.encoders}
    model.cpu()
    return learn_combination(
        model,
        opinions,
        torch.as_tensor(trainer.target[rows], dtype=torch.float32),
        torch.ones(len(rows)) if trainer.weight is None else torch.as_tensor(trainer.weight[rows], dtype=torch.float32),
        seed=trainer.config.seed,
    )


def _below(parts: list[Tokens]) -> Tokens:
    """Opinions, one token each, of several lists of rows, one below the other."""
    return Tokens(torch.cat([part.values for part in parts]), torch.cat([part.mask for part in parts]))
