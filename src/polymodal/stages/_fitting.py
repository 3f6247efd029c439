"""Has scikit-learn fit what stands on top of tokens that nothing is learned for."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse

from polymodal.errors import ConfigError
from polymodal.layers.pooling import masked_mean
from polymodal.models.network import Network
from polymodal.models.stage import Fitter
from polymodal.protocols import Encoder, Fusion
from polymodal.stages._given import Given
from polymodal.stages._machines import Machine
from polymodal.stages._predictors import PredictorConfig
from polymodal.stages._solvers import TrainingArrays
from polymodal.types import Cells, Meaning


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
    fusion: Fusion | None = None,
) -> bool:
    """Fits a machine on features of some rows.

    Args:
        fitter: knows the target and the weights of the rows.
        network: of frozen encoders.
        machine: where the result goes.
        predictor: what to fit.
        rows: numbers of the rows to learn from.
        key: of the estimator that Python gave, if it gave one.
        fusion: what makes features of the encoders' tokens, scaled as they should be; None: the only input's tokens
            are the features.

    Returns:
        Whether there was anything to learn.

    Raises:
        ConfigError: an estimator from Python that is not there.
    """
    from sklearn.exceptions import ConvergenceWarning

    if isinstance(machine, Given) and key not in fitter.estimators:
        raise ConfigError(
            "stage: the predictor is one that Python gave, and that no file holds. Train again from Python, or name "
            "one: logistic, ridge, svm or svm_rbf."
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
    wanted = _wanted(target, machine.meaning, len(machine.prior))[known]
    if not len(features) or (machine.meaning != "numbers" and not np.ptp(wanted, axis=0).any()):
        return False
    if fusion is None and not all(getattr(encoder, "takes_features", False) for encoder in network.encoders.values()):
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


def _wanted(target: Cells, meaning: Meaning, num_scores: int) -> Float[np.ndarray, "N K"]:
    """What each score is to be: 1 or -1, or a number, NaN where it is unknown."""
    values = target.values.numpy()
    if meaning == "numbers":
        numbers, known = values.swapaxes(0, 1)
        return np.where(known > 0, numbers, np.nan)
    return 2 * (np.eye(num_scores)[values[:, 0]] if meaning == "classes" else values) - 1


def _scale(features: Float[np.ndarray, "N F"]) -> tuple[Float[np.ndarray, " F"], Float[np.ndarray, " F"]]:
    """Centre and spread of each feature, so that rows have the mean square one; a constant feature becomes zero."""
    centre, deviation = features.mean(axis=0), features.std(axis=0)
    constant = deviation <= 1e-6 * np.maximum(1.0, np.abs(centre))
    return centre, np.where(constant, 1.0, deviation) * np.sqrt(max(int((~constant).sum()), 1))
