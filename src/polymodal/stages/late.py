"""Late fusion: each input is trained with its own encoder and head; then their predictions are combined."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from polymodal import registry
from polymodal.abilities import Scoring
from polymodal.config.node import settings
from polymodal.config.run_config import RunConfig, part_settings
from polymodal.errors import ConfigError, did_you_mean
from polymodal.layers.scores_head import FirstToken, ScoresHead
from polymodal.models.budget import repeated
from polymodal.models.decisions import RULES, RULES_OF_NUMBERS, Combination, Decisions, Stack, combined_width
from polymodal.models.stage import FitResult, Fitter, Parts, Stage, reads_tokens, scoring
from polymodal.protocols import Task
from polymodal.stages._combining import learn_combination
from polymodal.stages._machines import Machine
from polymodal.stages._predictors import PredictorField, learn_machine, require_frozen
from polymodal.types import Scores, Tokens

if TYPE_CHECKING:
    from polymodal.metrics.history import History

_ENOUGH = 50  # validation rows to learn a combination from
_FOLDS = 5


@settings
class LateConfig:
    """Settings of `Late`.

    Attributes:
        folds: a combination with something to learn learns from rows that the inputs did not learn from: from the
            validation rows (0), or from all training rows, each as seen by inputs that learned from other folds of
            them. None: 0 with at least 50 validation rows, else 5.
        branches: by input, a predictor that scikit-learn fits, in the place of layers: `{photo: svm, note: {name:
            logistic, c: 5}}`. It gets what an encoder without anything to learn gives: handcrafted features, unless the
            user names a frozen encoder.
    """

    folds: Annotated[int, Field(ge=0)] | None = None
    branches: dict[str, PredictorField] = field(default_factory=dict)


class Late(Stage):
    """Cells -> encoder -> head for each input; their scores -> fusion: fusion of decisions, also called asynchronous.

    The fusions `average`, `weighted`, `max`, `product` and `sum` are rules on probabilities (`Combination`); the other
    ones that take vectors are stacked: a head learns from what they make of the inputs' scores (`Stack`). Each input
    stops early by itself. An absent input says nothing; a row with none gets the prior.
    """

    Config: ClassVar[type] = LateConfig
    config: LateConfig
    shares_encoders: ClassVar[bool] = False
    fusion_settings: ClassVar[Mapping[str, Any]] = {"project": False}  # scores are combined as they are

    def encoder(self, name: str, modality: str) -> str | None:
        """Handcrafted features for scikit-learn; else the table of defaults knows."""
        return "handcrafted" if name in self.config.branches else None

    def check(self, config: RunConfig, task: Task, inputs: Sequence[str]) -> None:
        name, numbers = config.fusion.name or "", scoring("late", task).meaning == "numbers"
        if reads_tokens(name):
            raise ConfigError(
                f"stage 'late' with fusion {name!r}: each input gives one vector of scores by then, and there are no "
                "tokens to attend to. Use stage intermediate or early, or another fusion: average, weighted, concat."
            )
        for branch, predictor in self.config.branches.items():
            if branch not in inputs:
                raise ConfigError(
                    f"stage.branches: no input is called {branch!r}.{did_you_mean(branch, inputs)} "
                    f"Inputs: {', '.join(inputs)}."
                )
            if predictor.has_layers:
                raise ConfigError(f"stage.branches.{branch}: layers are what an input gets anyway; leave it out.")
            predictor.check(f"stage.branches.{branch}", numbers=numbers)
        if self.config.folds == 1:
            raise ConfigError("stage.folds: one fold leaves no rows to learn from; use 0, or 2 and more.")
        if numbers and name in RULES and name not in RULES_OF_NUMBERS:
            raise ConfigError(
                f"stage 'late' with fusion {name!r}: of predicted numbers, unlike probabilities, the {name} is no "
                f"prediction. Use {' or '.join(RULES_OF_NUMBERS)}, or stack them with concat."
            )
        if name in RULES and getattr(part_settings("fusions", config.fusion), "project", False):
            raise ConfigError(
                f"stage 'late' with fusion {name!r}: it combines probabilities as they are. "
                "Set fusion.project to false."
            )

    def num_trainings(self, num_inputs: int) -> int:
        """One for each input."""
        return num_inputs

    def assemble(self, parts: Parts) -> Decisions:
        if len(set(map(id, parts.encoders.values()))) < len(parts.encoders):
            raise ConfigError("stage 'late': inputs that learn by themselves cannot share an encoder.")
        task = scoring("late", parts.task)
        heads: dict[str, ScoresHead | Machine] = {}
        for name, encoder in parts.encoders.items():
            if (predictor := self.config.branches.get(name)) is None:
                heads[name] = ScoresHead.of(task, encoder.width)
            else:
                require_frozen(f"stage.branches.{name}", name, encoder)
                heads[name] = predictor.machine(encoder.width, task)
        combination, head = _combination(parts, task)
        return Decisions(parts.encoders, parts.columns, heads, combination, head)

    def learn(
        self, fitter: Fitter, rows: np.ndarray, validation: np.ndarray, *, before: FitResult | None = None
    ) -> FitResult:
        network = _built(fitter)
        histories = self._learn_branches(fitter, network, rows, validation, before)
        if before is not None:
            earlier = before.network
            assert isinstance(earlier, Decisions), "a refit repeats what this stage gave"
            network.combination.load_state_dict(earlier.combination.state_dict())
            network.head.load_state_dict(earlier.head.state_dict())
            return FitResult(network, histories)
        found = None
        if any(True for part in (network.combination, network.head) for _ in part.parameters()):
            interrupted = any(history.interrupted for history in histories.values())
            folds = self._folds(validation)
            if (
                folds
                and not interrupted
                and fitter.budget.affords_part("out-of-fold predictions", (folds - 1) * repeated(histories))
            ):
                _combine(fitter, network, self._of_folds(fitter, rows, folds, histories))
            elif len(validation):
                found = _combine(fitter, network, [(network, validation)])
            else:  # Ctrl-C, or no time, before the folds: better from rows that are known too well than from none
                _combine(fitter, network, [(network, rows)])
        return FitResult(network.eval(), histories, found, fitted_on_validation=found is not None)

    def _folds(self, validation: np.ndarray) -> int:
        """How many; 0: the validation rows do."""
        folds = self.config.folds
        if folds is None:
            return 0 if len(validation) >= _ENOUGH else _FOLDS
        if not folds and not len(validation):
            raise ConfigError(
                "stage.folds is 0, but there are no validation rows to learn the combination from. Leave it out, or "
                "set split.validation."
            )
        return folds

    def _learn_branches(
        self,
        fitter: Fitter,
        network: Decisions,
        rows: np.ndarray,
        validation: np.ndarray,
        before: FitResult | None,
        *,
        phase: str | None = None,
    ) -> dict[str, History]:
        """Trains one input after the other, each on the rows that have it; Ctrl-C leaves the others silent."""
        histories: dict[str, History] = {}
        phase = phase or ("train" if before is None else "refit")
        for name, head in network.heads.items():
            columns = network.columns[name]
            mine, check = (some[fitter.present(columns, some)] for some in (rows, validation))
            if not len(mine):
                continue  # nothing to learn from: it says nothing
            if isinstance(head, Machine):
                alone = network.alone(name, network.head)  # whose head is only a stand-in
                predictor = self.config.branches[name]
                network.set_fitted(name, learn_machine(fitter, alone, head, predictor, mine, key=name))
                continue
            found = before.histories.get(f"train:{name}") if before else None
            if before and not (found and found.best_epoch):
                continue  # it did not learn before, either
            history = fitter.fit(
                network.alone(name, head),
                mine,
                check,
                phase=f"{phase}:{name}",
                epochs=found.best_epoch if found else None,
            )
            histories[f"{phase}:{name}"] = history
            network.set_fitted(name, bool(history.best_epoch))
            if history.interrupted:
                break
        return histories

    def _of_folds(
        self, fitter: Fitter, rows: np.ndarray, num_folds: int, histories: Mapping[str, History]
    ) -> list[tuple[Decisions, np.ndarray]]:
        """For each fold of the training rows, a network that learned from the others, for as many epochs as were
        best.
        """
        found = FitResult(_built(fitter), histories)
        order = np.random.default_rng(fitter.config.seed).permutation(rows)
        pairs = []
        for place, fold in enumerate(np.array_split(order, min(num_folds, len(order))), start=1):
            network, others = _built(fitter), np.sort(np.setdiff1d(rows, fold))
            self._learn_branches(fitter, network, others, fold[:0], found, phase=f"fold{place}")
            pairs.append((network, np.sort(fold)))
        return pairs


def _built(fitter: Fitter) -> Decisions:
    network = fitter.build()
    assert isinstance(network, Decisions), "what this stage assembles"
    return network


def _combination(parts: Parts, task: Scoring) -> tuple[Combination | Stack, ScoresHead]:
    """What combines the scores of the inputs, and the head on top of it."""
    name, num_scores = parts.config.fusion.name or "", len(task.prior)
    if name not in RULES:
        fusion = parts.fusion(dict.fromkeys(parts.encoders, num_scores))
        stack = Stack(fusion, meaning=task.meaning, prior=task.prior)
        return stack, ScoresHead.of(task, stack.width)
    rule = RULES[name]
    widths = dict.fromkeys(parts.encoders, combined_width(num_scores, task.meaning))
    if rule.fusion == name:
        fusion = parts.fusion(widths)
    else:
        cls = registry.load("fusions", rule.fusion)
        fusion = cls(dataclasses.replace(cls.Config(), project=False), widths=widths)
    combination = Combination(rule, fusion, meaning=task.meaning, prior=task.prior)
    return combination, ScoresHead(FirstToken(), task.criterion(), task.prior)


def _combine(fitter: Fitter, network: Decisions, fitted: list[tuple[Decisions, np.ndarray]]) -> Scores | None:
    """Learns the combination of a network from predictions for rows that the predicting ones did not learn from."""
    fitted = [(of_rows, rows) for of_rows, rows in fitted if len(rows)]
    if not fitted:
        return None
    found = [fitter.tokens(of_rows, rows, of_rows.unimodal) for of_rows, rows in fitted]
    rows = np.concatenate([rows for _, rows in fitted])
    predictions = {name: Tokens.joined([tokens[name] for tokens in found]) for name in network.columns}
    network.cpu()
    target = fitter.target(rows)
    assert target is not None, "a task that gives scores has a target"
    return learn_combination(network, predictions, target, fitter.weights(rows), seed=fitter.config.seed)
