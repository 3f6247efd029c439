"""Where the inputs meet: what a stage of fusion must do, and what it is given for it. The stages are in `stages/`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool

from polymodal import registry
from polymodal.abilities import Anchored, Scoring
from polymodal.baselines.scaling import Block
from polymodal.config.run_config import Part, RunConfig, part_settings
from polymodal.errors import ConfigError
from polymodal.models.budget import Budget
from polymodal.models.model import Network, Tower
from polymodal.protocols import Encoder, Fusion, Prediction, Task
from polymodal.types import Cells, Tokens

if TYPE_CHECKING:
    from polymodal.metrics.history import History

_GIVEN = "given"  # the predictor that an estimator from Python is
INTERMEDIATE = "intermediate"
"""The stage of a run that names none, and of bundles that are older than stages."""
DEEP_ENSEMBLE = "deep_ensemble"
"""The stage that the preset `best` chooses."""


@dataclass(frozen=True)
class Parts:
    """What a model is assembled from.

    Attributes:
        encoders: by input.
        columns: by input, the columns that its encoder receives.
        sides: by side of the task, its inputs; of most tasks one side, "".
        task: fitted.
        config: complete; its `fusion`, `stage` and `train` are used.
        make_encoders: makes the same encoders once more, with other random weights; for stages of several networks.
    """

    encoders: Mapping[str, Encoder]
    columns: Mapping[str, Sequence[str]]
    sides: Mapping[str, Sequence[str]]
    task: Task
    config: RunConfig
    make_encoders: Callable[[], Mapping[str, Encoder]] | None = None

    @property
    def widths(self) -> dict[str, int]:
        """D of each input's tokens."""
        return {name: encoder.width for name, encoder in self.encoders.items()}

    def fusion(self, widths: Mapping[str, int]) -> Fusion:
        """The fusion that the configuration names, for inputs of these widths."""
        part = self.config.fusion
        fusion: Fusion = registry.load("fusions", part.name or "")(part_settings("fusions", part), widths=widths)
        return fusion

    def tower(self, side: str, fusion: Fusion) -> Tower:
        """The encoders of a side, with a fusion of their tokens."""
        names = self.sides[side]
        along = fusion.anchor if self.task.needs().time and isinstance(fusion, Anchored) else None
        return Tower(
            {name: self.encoders[name] for name in names},
            {name: self.columns[name] for name in names},
            fusion,
            along=along,
        )


@dataclass(frozen=True)
class FitResult:
    """What training gives.

    Attributes:
        network: with its best weights, in eval mode.
        histories: of every training it took, by phase: `train`; of late fusion `train:image`, `train:text`, ...,
            of a deep ensemble `train:network 1`, ...
        validation: predictions for the validation rows, in their order, where they are known already.
        fitted_on_validation: a part of the network learned from these rows, so that only `validation` is honest.
    """

    network: Network
    histories: Mapping[str, History] = field(default_factory=dict)
    validation: Prediction | None = None
    fitted_on_validation: bool = False

    @property
    def interrupted(self) -> bool:
        """Ended by Ctrl-C."""
        return any(history.interrupted for history in self.histories.values())


@runtime_checkable
class Fitter(Protocol):
    """What a stage trains with: one prepared table, its target and the settings of the run. Rows are row numbers.

    Attributes:
        task: fitted.
        estimators: of scikit-learn, from Python, by input, or by "" for the one on top.
        budget: what there is time for, beside the networks.
    """

    config: RunConfig
    task: Task
    estimators: Mapping[str, Any]
    budget: Budget

    def build(self) -> Network:
        """A network with fresh weights, always the same ones."""

    def fit(
        self,
        network: Network,
        rows: np.ndarray,
        validation: np.ndarray | None,
        *,
        phase: str,
        epochs: int | None = None,
        lr_factor: float = 1.0,
        seed: int | None = None,
    ) -> History:
        """Trains a network, of all inputs or some, in place; stops early on the validation rows where there are any.

        The phase is what the log calls this training; it takes `epochs` at most, or as many as the settings say, and
        the factor of their learning rate; the order of rows, dropout and augmentation are those of the seed, or of the
        run's.
        """

    def tokens(
        self,
        network: Network,
        rows: np.ndarray,
        function: Callable[[Mapping[str, Tokens]], Mapping[str, Tokens]] | None = None,
    ) -> dict[str, Tokens]:
        """What a network's encoders give for some rows, in their order and as it is in eval mode, on the CPU.

        The function is applied to the tokens of every batch, on the device, so that only its result is kept.
        """

    def features(self, network: Network, name: str, rows: np.ndarray) -> Sequence[Sequence[Block]]:
        """Groups of features: those handcrafted of an input's columns and, of a frozen encoder, its mean token."""

    def target(self, rows: np.ndarray) -> Cells | None:
        """The target of some rows, as the task collates it."""

    def weights(self, rows: np.ndarray) -> torch.Tensor:
        """The sample weights of some rows; 1 where there are none."""

    def present(self, columns: Sequence[str], rows: np.ndarray) -> Bool[np.ndarray, " N"]:
        """Which of the rows have a cell in one of the columns."""


@runtime_checkable
class Stage(Protocol):
    """Where the inputs meet. Built as `Stage(config)`; `Config` is a frozen dataclass of settings.

    A class that inherits from it has every fusion and task make sense with the usual defaults, unless it says
    otherwise.

    Attributes:
        joint: encoders, fusion and head learn together: they can go on learning, and start warm, as a whole.
        shares_encoders: several inputs may go through one encoder.
        refit_epochs: share of the best epochs for which a refit trains.
        fusion_settings: those that suit a fusion at this stage, where it has them and the user says nothing.
    """

    Config: ClassVar[type]
    joint: ClassVar[bool] = False
    shares_encoders: ClassVar[bool] = True
    refit_epochs: ClassVar[float] = 1.0
    fusion_settings: ClassVar[Mapping[str, Any]] = {}
    config: Any

    def __init__(self, config: Any) -> None:
        self.config = config

    def encoder(self, name: str, modality: str) -> str | None:
        """The encoder of an input where the user names none; None: that of the table of defaults."""
        return None

    def check(self, config: RunConfig, task: Task, inputs: Sequence[str]) -> None:
        """Looks at the complete configuration, the unfitted task, and names of inputs, before any media are read.

        Raises:
            ConfigError: this fusion, or what the task predicts, makes no sense at this stage; says why, and what to
                use.
        """

    def num_trainings(self, num_inputs: int) -> int:
        """How many networks it trains one after another, which share the time of a budget."""
        return 1

    def assemble(self, parts: Parts) -> Network:
        """The network with fresh weights."""

    def learn(
        self, fitter: Fitter, rows: np.ndarray, validation: np.ndarray, *, before: FitResult | None = None
    ) -> FitResult:
        """Trains a network on rows by their numbers, and stops early on validation rows; there may be none.

        `before` is given for a refit, on train and validation rows together: what it repeats, without stopping early.
        """


def stage_of(config: RunConfig) -> Stage:
    """The stage of a run, with its settings.

    Raises:
        ConfigError: no such stage, or a setting that it does not have.
    """
    part = config.stage if config.stage.name else Part(name=INTERMEDIATE, **config.stage.settings)
    stage: Stage = registry.load("stages", part.name or "")(part_settings("stages", part))
    return stage


def with_estimators(config: RunConfig, given: Mapping[str, Any] | None) -> RunConfig:
    """The configuration of a run for which Python gives estimators: each has its place in the stage's settings.

    They are given by input (stage `late`), or there is one by "", for the top of all (`fuse_then_train`).

    Raises:
        ConfigError: the stage has no place for them.
    """
    if not given:
        return config
    settings = config.stage.settings
    place = "predictor" if "" in given else "branches"
    cls = registry.load("stages", config.stage.name or INTERMEDIATE)
    if place not in {field.name for field in dataclasses.fields(cls.Config)}:
        raise ConfigError(
            "Estimators of scikit-learn are used by stage late, one for an input (predictors={'photo': ...}), and by "
            f"fuse_then_train, one for all (predictors=...); this is {config.stage.name or INTERMEDIATE}."
        )
    chosen: Any = _GIVEN if place == "predictor" else {**settings.get(place, {}), **dict.fromkeys(given, _GIVEN)}
    return config.model_copy(update={"stage": Part(name=config.stage.name, **{**settings, place: chosen})})


def reads_tokens(fusion: str | None) -> bool:
    """Whether a fusion reads every token of its inputs (attention), instead of one vector for each."""
    return registry.load("fusions", fusion or "").keeps_time is not False


def scoring(name: str, task: Task) -> Scoring:
    """A task whose predictions are scores, which this stage combines.

    Raises:
        ConfigError: its predictions are something else.
    """
    if not isinstance(task, Scoring):
        raise ConfigError(
            f"stage {name!r} combines the scores of single inputs, and predictions of this task are no scores. Use "
            "stage intermediate."
        )
    return task
