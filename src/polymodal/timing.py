"""When the inputs meet: what a timing must do, and what it is given for it. The timings are in `timings/`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Num

from polymodal import registry
from polymodal.config import Part, RunConfig, part_settings
from polymodal.errors import ConfigError
from polymodal.model import Model
from polymodal.types import Encoder, Fusion, Head, Scores, Tokens

if TYPE_CHECKING:
    from polymodal.training.history import History

_GIVEN = "given"  # the predictor that an estimator from Python is
INTERMEDIATE = "intermediate"
"""The timing of a run that names none, and of bundles that are older than timings."""


@dataclass(frozen=True)
class Parts:
    """What a model is assembled from.

    Attributes:
        encoders: by input.
        columns: by input, the columns that its encoder receives.
        head: makes a head of the task for tokens of a width.
        config: complete; its `fusion`, `timing` and `train` are used.
    """

    encoders: Mapping[str, Encoder]
    columns: Mapping[str, Sequence[str]]
    head: Callable[[int], Head]
    config: RunConfig

    @property
    def widths(self) -> dict[str, int]:
        """D of each input's tokens."""
        return {name: encoder.width for name, encoder in self.encoders.items()}

    def fusion(self, widths: Mapping[str, int]) -> Fusion:
        """The fusion that the configuration names, for inputs of these widths."""
        part = self.config.fusion
        fusion: Fusion = registry.load("fusions", part.name or "")(part_settings("fusions", part), widths=widths)
        return fusion


@dataclass(frozen=True)
class Learned:
    """A model that has learned.

    Attributes:
        model: with its best weights, in eval mode.
        histories: of every training it took, by phase: `train`; of late `train:image`, `train:text`, ...
        scores: of the validation rows, in their order, where the model must not be asked itself, because a part of it
            learned from them.
    """

    model: Model
    histories: Mapping[str, History] = field(default_factory=dict)
    scores: np.ndarray | None = None

    @property
    def interrupted(self) -> bool:
        """Ended by Ctrl-C."""
        return any(history.interrupted for history in self.histories.values())


@runtime_checkable
class Training(Protocol):
    """What a timing learns with: one prepared table, its target and the settings of the run.

    Attributes:
        target: as the task encodes it, [rows of the table] or [rows of the table, K]; NaN where unknown.
        weight: of each row of the table; None: all count alike.
        estimators: of scikit-learn, from Python, by input, or by "" for the one on top.
    """

    config: RunConfig
    device: torch.device
    target: Num[np.ndarray, "R ..."]
    weight: Num[np.ndarray, " R"] | None
    estimators: Mapping[str, Any]

    def build(self) -> Model:
        """A model with fresh weights, always the same ones."""

    def fit(
        self,
        model: Model,
        rows: np.ndarray,
        validation: np.ndarray | None,
        *,
        phase: str,
        epochs: int | None = None,
    ) -> History:
        """Trains a model in place; stops early on the validation rows where there are any."""

    def tokens(self, model: Model, rows: np.ndarray) -> dict[str, Tokens]:
        """What a model's encoders give for some rows, in their order and as it is in eval mode, on the CPU."""

    def present(self, columns: Sequence[str], rows: np.ndarray) -> Bool[np.ndarray, " N"]:
        """Which of the rows have a cell in one of the columns."""


@runtime_checkable
class Timing(Protocol):
    """When the inputs meet. Built as `Timing(config)`; `Config` is a frozen dataclass of settings."""

    Config: ClassVar[type]

    def __init__(self, config: Any) -> None: ...

    def settings_of_fusion(self) -> dict[str, Any]:
        """Settings that suit a fusion at this time, where it has them and the user says nothing."""

    def encoder(self, name: str, modality: str) -> str | None:
        """The encoder of an input where the user names none; None: that of the table of defaults."""

    def check(self, config: RunConfig, scores: Scores, inputs: Sequence[str]) -> None:
        """Looks at the configuration, and at the names of the inputs, before any media are read.

        Raises:
            ConfigError: this fusion, or what the task predicts, makes no sense at this time; says why, and what to use.
        """

    def assemble(self, parts: Parts) -> Model:
        """The model with fresh weights."""

    def learn(
        self, trainer: Training, rows: np.ndarray, validation: np.ndarray, *, before: Learned | None = None
    ) -> Learned:
        """Trains a model.

        Args:
            trainer: what to learn with.
            rows: numbers of the training rows.
            validation: numbers of the rows to stop early on; may be none.
            before: given for a refit, on train and validation rows together: what it repeats, without stopping early.
        """


def timing_of(config: RunConfig) -> Timing:
    """The timing of a run, with its settings.

    Raises:
        ConfigError: no such timing, or a setting that it does not have.
    """
    part = config.timing if config.timing.name else Part(name=INTERMEDIATE, **config.timing.settings)
    timing: Timing = registry.load("timings", part.name or "")(part_settings("timings", part))
    return timing


def with_estimators(config: RunConfig, given: Mapping[str, Any] | None) -> RunConfig:
    """The configuration of a run for which Python gives estimators: each has its place in the timing's settings.

    Args:
        config: its timing is `late`, or `fuse_then_train`.
        given: estimators by input; or one by "", for the top of all.

    Raises:
        ConfigError: the timing has no place for them.
    """
    if not given:
        return config
    settings = config.timing.settings
    place = "predictor" if "" in given else "branches"
    cls = registry.load("timings", config.timing.name or INTERMEDIATE)
    if place not in {field.name for field in dataclasses.fields(cls.Config)}:
        raise ConfigError(
            "Estimators of scikit-learn are used by timing late, one for an input (predictors={'photo': ...}), and by "
            f"fuse_then_train, one for all (predictors=...); this is {config.timing.name or INTERMEDIATE}."
        )
    chosen: Any = _GIVEN if place == "predictor" else {**settings.get(place, {}), **dict.fromkeys(given, _GIVEN)}
    return config.model_copy(update={"timing": Part(name=config.timing.name, **{**settings, place: chosen})})


def reads_tokens(fusion: str | None) -> bool:
    """Whether a fusion reads every token of its inputs (attention), instead of one vector for each."""
    return registry.load("fusions", fusion or "").keeps_time is not False
