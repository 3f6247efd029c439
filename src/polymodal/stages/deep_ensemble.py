"""Deep ensembles: several networks of the stage `intermediate`, each from other random weights, as one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from polymodal.abilities import Scoring
from polymodal.config.node import settings
from polymodal.config.run_config import RunConfig
from polymodal.errors import ConfigError
from polymodal.models.deep_ensemble import as_one, networks_of, set_trained
from polymodal.models.ensemble import Ensemble
from polymodal.models.stage import DEEP_ENSEMBLE, FitResult, Fitter, Parts
from polymodal.pretrained.adaptation import merged_names
from polymodal.protocols import Encoder, Task
from polymodal.stages._feature_members import fit_feature_members
from polymodal.stages._joint import JointStage, refit, weigh_and_calibrate

if TYPE_CHECKING:
    from polymodal.metrics.history import History


@settings
class DeepEnsembleConfig:
    """Settings of `DeepEnsemble`.

    Attributes:
        seeds: number of networks; each has a seed of its own for its first weights, the order of rows, dropout and
            augmentation.
    """

    seeds: Annotated[int, Field(ge=2)] = 3


class DeepEnsemble(JointStage):
    """Cells -> encoders -> fusion -> head, several times over; the mean of their predictions: a deep ensemble.

    Each network is one of stage `intermediate`, of which the first is the one that this stage would train. Networks
    that start elsewhere err on other rows, and their mean errs less (Lakshminarayanan, Pritzel & Blundell 2017, "Simple
    and scalable predictive uncertainty estimation using deep ensembles", without adversarial examples). Linear models
    and trees on handcrafted features are fitted once. Encoders that do not learn are shared: every cell is encoded
    once.
    """

    Config: ClassVar[type] = DeepEnsembleConfig
    config: DeepEnsembleConfig

    def check(self, config: RunConfig, task: Task, inputs: Sequence[str]) -> None:
        if not isinstance(task, Scoring):
            raise ConfigError(
                f"stage {DEEP_ENSEMBLE!r} averages scores, and predictions of this task are no scores. Use stage "
                "intermediate."
            )
        if config.warm_start.freeze:
            raise ConfigError(
                f"stage {DEEP_ENSEMBLE!r}: with warm_start.freeze all networks would have the same encoders. Set it to "
                "false, or use stage intermediate."
            )

    def num_trainings(self, num_inputs: int) -> int:
        return self.config.seeds

    def assemble(self, parts: Parts) -> Ensemble:
        networks = list[Ensemble]()
        for place in range(self.config.seeds):
            network = super().assemble(parts if place == 0 else replace(parts, encoders=_encoders(parts)))
            assert isinstance(network, Ensemble), "what a joint stage assembles for a task that gives scores"
            networks.append(network)
        return as_one(networks)

    def learn(
        self, fitter: Fitter, rows: np.ndarray, validation: np.ndarray, *, before: FitResult | None = None
    ) -> FitResult:
        """Trains one network after another, then fits the other members and weighs all, as a joint stage does."""
        network = fitter.build() if before is None else copy.deepcopy(before.network)
        assert isinstance(network, Ensemble), "what this stage assembles"
        networks, kind = networks_of(network), "train" if before is None else "refit"
        histories: dict[str, History] = {}
        for number, one in enumerate(networks, start=1):
            phase, seed = f"{kind}:network {number}", _seed(fitter.config.seed, number)
            if before is None:
                histories[phase] = fitter.fit(one, rows, validation, phase=phase, seed=seed)
            elif (first := before.histories.get(f"train:network {number}")) and first.best_epoch:
                histories[phase] = refit(fitter, one, rows, first, phase=phase, seed=seed)
            if phase in histories and histories[phase].interrupted:
                break
        network.eval()
        fit_feature_members(fitter, network, rows)
        if before is not None:
            return FitResult(network, histories)
        epochs = [history.best_epoch for history in histories.values()]
        set_trained(network, [place < len(epochs) and epochs[place] > 0 for place in range(len(networks))])
        return FitResult(network, histories, weigh_and_calibrate(fitter, network, rows, validation))


def _seed(seed: int, number: int) -> int:
    """That of one of the networks, from 1; the first has the run's."""
    drawn = np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)
    return seed if number == 1 else int(drawn[0] >> np.uint64(1))


def _encoders(parts: Parts) -> dict[str, Encoder]:
    """Encoders for one more network; those that do not learn are the same ones.

    Raises:
        ConfigError: encoders with adapters, which lie in a bundle as if they did not learn.
    """
    for name, encoder in parts.encoders.items():
        if merged_names(encoder).keys() != encoder.state_dict().keys():
            raise ConfigError(
                f"stage {DEEP_ENSEMBLE!r}: the encoder of {name!r} learns by adapters, which a bundle holds for one "
                "network only. Set its train to frozen, top or full, or use stage intermediate."
            )
    assert parts.make_encoders is not None, "whoever builds a network can build its encoders again"
    return {
        name: parts.encoders[name] if parts.encoders[name].frozen else encoder
        for name, encoder in parts.make_encoders().items()
    }
