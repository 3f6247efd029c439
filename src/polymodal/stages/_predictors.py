"""Predictors that scikit-learn fits, by name: what a branch, or the top of a model, may be instead of layers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import PositiveFloat
from scipy import sparse
from torch import nn

from polymodal.abilities import Scoring
from polymodal.config.node import settings, short_for
from polymodal.errors import ConfigError
from polymodal.layers.pooling import masked_mean
from polymodal.models.model import Network
from polymodal.models.stage import Fitter
from polymodal.protocols import Encoder
from polymodal.stages._machines import Given, KernelMachine, LinearMachine, Machine
from polymodal.stages._solvers import Buffers, TrainingArrays, logistic, ridge, svm, svm_rbf
from polymodal.stages._trees import TreesMachine, gradient_boosting
from polymodal.types import Cells, Meaning

_FEWEST_TIMED = 200  # rows, from which the time of more is predicted


@dataclass(frozen=True)
class PredictorKind:
    """What one predictor is.

    Attributes:
        machine: holds what was fitted; None: layers, which are trained as other layers are.
        solve: training arrays, and the inverse strength of the penalty if it has one -> buffers of the machine.
        c: that strength, where nobody says it; None: it has no penalty.
        predicts_numbers: beside classes and labels.
        growth: the power of the number of rows with which the time to fit it grows, about.
    """

    machine: type[Machine] | None
    solve: Callable[..., Buffers] | None = None
    c: float | None = 1.0
    predicts_numbers: bool = True
    growth: float = 1.0


_PREDICTORS: Mapping[str, PredictorKind] = {
    "logistic": PredictorKind(LinearMachine, logistic, c=20.0, predicts_numbers=False),
    "ridge": PredictorKind(LinearMachine, ridge),
    "svm": PredictorKind(LinearMachine, svm),
    "svm_rbf": PredictorKind(KernelMachine, svm_rbf, c=10.0),
    "gradient_boosting": PredictorKind(TreesMachine, gradient_boosting, c=None, growth=0.5),
    "given": PredictorKind(Given),
    "mlp": PredictorKind(machine=None),
}


@settings
class PredictorConfig:
    """One predictor and its setting.

    Attributes:
        name: `logistic` regression (of classes and labels), `ridge` regression, `svm` (linear), `svm_rbf`,
            `gradient_boosting` (decision trees); `mlp`: layers that are trained, on top of fused features only;
            `given`: an estimator that Python hands over.
        c: inverse strength of the penalty, for features whose rows have the mean square one; None: 20 for `logistic`,
            10 for `svm_rbf`, else 1. `gradient_boosting` has none.
    """

    name: Literal["logistic", "ridge", "svm", "svm_rbf", "gradient_boosting", "mlp", "given"] = "logistic"
    c: PositiveFloat | None = None

    def check(self, where: str, *, numbers: bool) -> None:
        """Raises ConfigError where it does not suit scores that are numbers, or has no setting `c`."""
        if self.c is not None and _PREDICTORS[self.name].c is None:
            raise ConfigError(f"{where}.c: {self.name} has no penalty, whose strength c would be; leave it out.")
        if numbers and not _PREDICTORS[self.name].predicts_numbers:
            raise ConfigError(f"{where}: logistic regression predicts classes, and the target is a number. Use ridge.")

    @property
    def has_layers(self) -> bool:
        """It is trained, in place of being fitted by scikit-learn."""
        return _PREDICTORS[self.name].machine is None

    def machine(self, width: int, task: Scoring) -> Machine:
        """The module that it becomes, not yet fitted, for features of that width."""
        kind = _PREDICTORS[self.name].machine
        assert kind is not None, "layers are no machine"
        return kind(width, task.meaning, task.prior)

    def fit(self, machine: Machine, data: TrainingArrays) -> None:
        """Puts what it learns into its machine."""
        kind = _PREDICTORS[self.name]
        assert kind.solve is not None, "others are fitted elsewhere"
        machine.put(**(kind.solve(data) if kind.c is None else kind.solve(data, self.c or kind.c)))


def seconds_to_fit(
    predictor: PredictorConfig, machine: Machine, data: TrainingArrays, clock: Callable[[], float]
) -> float:
    """How long a predictor will probably take: from a fit of a machine's copy on a tenth of the rows.

    Zero of few rows, and where a tenth of them has nothing to tell apart.
    """
    from sklearn import ensemble, linear_model  # noqa: F401 - loading them is no part of the time

    num_rows, num_sample = len(data.wanted), max(_FEWEST_TIMED, len(data.wanted) // 10)
    if num_rows < 2 * num_sample:
        return 0.0
    order = np.random.default_rng(data.seed).permutation(num_rows)[:num_sample]
    sample = data.rows(np.sort(order))
    wanted = sample.wanted[sample.weight > 0]
    if not len(wanted) or not (np.fmax.reduce(wanted) > np.fmin.reduce(wanted)).any():
        return 0.0
    trial, start = copy.deepcopy(machine), clock()
    predictor.fit(trial, sample)
    return float((clock() - start) * (num_rows / num_sample) ** _PREDICTORS[predictor.name].growth)


PredictorField = Annotated[PredictorConfig, short_for("name")]


def require_frozen(where: str, name: str, encoder: Encoder) -> None:
    """Raises ConfigError where an encoder has something to learn."""
    if not encoder.frozen:
        raise ConfigError(
            f"{where}: the encoder of the input {name!r} has weights to learn, and here nothing trains them. Name "
            "none, for handcrafted features, or one that is frozen."
        )


def learn_machine(
    fitter: Fitter,
    network: Network,
    machine: Machine,
    predictor: PredictorConfig,
    rows: np.ndarray,
    *,
    key: str,
    fusion: nn.Module | None = None,
) -> bool:
    """Fits a machine, as the predictor says, on what a network of frozen encoders makes of some rows.

    `key` is that of the estimator that Python gave, if it gave one. The fusion makes features of the encoders' tokens,
    scaled as they should be; without one the only input's tokens are the features.

    Returns:
        Whether there was anything to learn.

    Raises:
        ConfigError: an estimator from Python that is not there.
    """
    from sklearn.exceptions import ConvergenceWarning

    if isinstance(machine, Given) and key not in fitter.estimators:
        raise ConfigError(
            "stage: the predictor is one that Python gave, and that no file holds. Train again from Python, or name "
            "one: logistic, ridge, svm, svm_rbf or gradient_boosting."
        )
    tokens = fitter.tokens(network, rows)
    if fusion is not None:
        fusion.cpu()
    with torch.no_grad():
        fused = next(iter(tokens.values())) if fusion is None else fusion(tokens)
    target = fitter.target(rows)
    assert target is not None, "a task that gives scores has a target"
    known = (target.present & fused.present).numpy()
    features = masked_mean(fused.values, fused.mask).numpy()[known].astype(np.float64)
    wanted = wanted_of(target, machine.meaning, len(machine.prior))[known]
    if not len(features) or (machine.meaning != "numbers" and not np.ptp(wanted, axis=0).any()):
        return False
    standardised = all(getattr(encoder, "takes_features", False) for encoder in network.encoders.values())
    if fusion is None and machine.standardises and not standardised:
        centre, spread = _scale(features)
        machine.put(centre=centre, spread=spread)
        features = (features - centre) / spread
    with warnings.catch_warnings():
        # Solvers that end before they converge are good enough here, as in the baselines.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if isinstance(machine, Given):
            machine.fit(fitter.estimators[key], features, wanted)
        else:
            few = sparse.csr_matrix(features) if (features != 0).mean() < 0.1 else features
            weight = fitter.weights(rows).double().numpy()[known]
            predictor.fit(machine, TrainingArrays(few, wanted, weight, machine.meaning, fitter.config.seed))
    return True


def wanted_of(target: Cells, meaning: Meaning, num_scores: int) -> Float[np.ndarray, "N K"]:
    """What each score is to be: 1 or -1, or a number, NaN where it is unknown."""
    values = target.values.numpy()
    if meaning == "numbers":
        numbers, known = values.swapaxes(0, 1)
        return np.where(known > 0, numbers, np.nan)
    return 2 * (values if target.values.is_floating_point() else np.eye(num_scores)[values[:, 0]]) - 1


def _scale(features: Float[np.ndarray, "N F"]) -> tuple[Float[np.ndarray, " F"], Float[np.ndarray, " F"]]:
    """Centre and spread of each feature, so that rows have the mean square one; a constant feature becomes zero."""
    centre, deviation = features.mean(axis=0), features.std(axis=0)
    constant = deviation <= 1e-6 * np.maximum(1.0, np.abs(centre))
    return centre, np.where(constant, 1.0, deviation) * np.sqrt(max(int((~constant).sum()), 1))
