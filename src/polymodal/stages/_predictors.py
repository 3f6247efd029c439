"""Predictors that scikit-learn fits, by name: what a branch, or the top of a model, may be instead of layers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BeforeValidator, ConfigDict, PositiveFloat
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist

from polymodal.abilities import Scoring
from polymodal.errors import ConfigError
from polymodal.stages._machines import Foreign, KernelMachine, LinearMachine, Machine
from polymodal.types import Meaning

_UNSEEN = -10.0  # score of a class that the rows do not hold: a probability near zero
_CONFIDENT = 1e-6  # the smallest probability that is believed of an estimator from Python
_FOLDS = 5
_GAMMA = 1.0  # of the RBF kernel, for features whose rows have the mean square one
_C = {"logistic": 20.0, "ridge": 1.0, "svm": 1.0, "svm_rbf": 10.0}

Array = Any
"""[rows, features], dense or sparse."""


@dataclass(frozen=True)
class PredictorConfig:
    """One predictor and its setting.

    Attributes:
        name: `logistic` regression (of classes and labels), `ridge` regression, `svm` (linear), `svm_rbf`; `mlp`:
            layers that are trained, on top of fused features only; `given`: an estimator that Python hands over.
        c: inverse strength of the penalty, for features whose rows have the mean square one; None: 20 for `logistic`,
            10 for `svm_rbf`, else 1.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: Literal["logistic", "ridge", "svm", "svm_rbf", "mlp", "given"] = "logistic"
    c: PositiveFloat | None = None

    @property
    def strength(self) -> float:
        """`c`, chosen."""
        return self.c or _C.get(self.name, 1.0)


def _predictor(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


PredictorField = Annotated[PredictorConfig, BeforeValidator(_predictor)]


def check_predictor(where: str, predictor: PredictorConfig, *, numbers: bool) -> None:
    """Raises ConfigError where a predictor does not suit scores that are numbers."""
    if numbers and predictor.name == "logistic":
        raise ConfigError(f"{where}: logistic regression predicts classes, and the target is a number. Use ridge.")


def machine_for(predictor: PredictorConfig, width: int, task: Scoring) -> Machine:
    """The module that a predictor becomes, not yet fitted."""
    kinds: dict[str, type[Machine]] = {"svm_rbf": KernelMachine, "given": Foreign}
    return kinds.get(predictor.name, LinearMachine)(width, task.meaning, task.prior)


@dataclass(frozen=True)
class TrainingArrays:
    """What a predictor learns from.

    Attributes:
        features: of the rows.
        target: of classes their numbers [rows]; else labels or numbers [rows, K], NaN where one of several numbers is
            unknown.
        weight: of the rows.
        meaning: what the task's scores are.
        scale: standardise the features; else they are as they should be.
        seed: of folds and solvers.
    """

    features: Float[np.ndarray, "N F"]
    target: np.ndarray
    weight: np.ndarray
    meaning: Meaning
    scale: bool
    seed: int


def fit_machine(machine: Machine, predictor: PredictorConfig, lessons: TrainingArrays, estimator: Any = None) -> bool:
    """Fits a predictor, and puts what it has learned into its module. False where there is nothing to tell apart.

    SVM and ridge regression give no probabilities of classes. Theirs come from decisions for rows that were held out,
    in up to five folds: softmax of the decisions times one slope (temperature scaling, Guo et al. 2017, arXiv
    1706.04599, section 4.2: a slope for each class would need more rows), of labels Platt's sigmoid (1999). With a
    class of one row the decisions themselves stand for log-probabilities.
    """
    features, num_scores = lessons.features.astype(np.float64), len(machine.prior)
    centre, spread = np.zeros(features.shape[1]), np.ones(features.shape[1])
    if lessons.scale:
        centre, deviation = features.mean(axis=0), features.std(axis=0)
        constant = deviation <= 1e-6 * np.maximum(1.0, np.abs(centre))
        spread = np.where(constant, 1.0, deviation) * np.sqrt(max(int((~constant).sum()), 1))
        features = (features - centre) / spread
    kept: Array = sparse.csr_matrix(features) if (features != 0).mean() < 0.1 else features
    wanted = _wanted(lessons, num_scores)
    if not len(features) or (lessons.meaning != "numbers" and not (np.ptp(wanted, axis=0) > 0).any()):
        return False
    machine.put(centre=centre, spread=spread)
    with _quietly():
        if isinstance(machine, Foreign):
            _fit_foreign(machine, estimator, features, lessons, wanted)
        elif predictor.name == "logistic":
            machine.put(**_logistic(predictor, kept, wanted, lessons))
        else:
            machine.put(**_decider(predictor, kept, wanted, lessons))
            if lessons.meaning != "numbers":
                machine.put(**_calibrated(predictor, kept, wanted, lessons))
    return True


def _wanted(lessons: TrainingArrays, num_scores: int) -> Float[np.ndarray, "N K"]:
    """What each score is to be: 1 or -1, or a number."""
    target = lessons.target.astype(np.float64)
    if lessons.meaning == "numbers":
        return target.reshape(len(target), num_scores)
    if target.ndim == 1:
        target = np.eye(num_scores)[target.astype(int)]
    return 2 * target - 1


def _logistic(
    predictor: PredictorConfig, features: Array, wanted: np.ndarray, lessons: TrainingArrays
) -> dict[str, np.ndarray]:
    from sklearn.linear_model import LogisticRegression

    num_rows, num_scores = wanted.shape
    weight, bias = np.zeros((num_scores, features.shape[1])), np.full(num_scores, _UNSEEN)
    if lessons.meaning == "classes":
        fitted = LogisticRegression(C=predictor.strength, max_iter=300)
        fitted.fit(features, wanted.argmax(axis=1), sample_weight=lessons.weight)
        two = len(fitted.classes_) == 2  # one row of coefficients: for the second class against the first
        weight[fitted.classes_[-len(fitted.coef_) :]] = fitted.coef_
        bias[fitted.classes_] = 0.0
        bias[fitted.classes_[-1:] if two else fitted.classes_] = fitted.intercept_
        return {"weight": weight, "bias": bias}
    for k, column in enumerate((wanted > 0).T):
        if np.ptp(column.astype(int)) == 0:  # all rows alike: half a row more of each
            bias[k] = np.log((column.sum() + 0.5) / (num_rows - column.sum() + 0.5))
            continue
        fitted = LogisticRegression(C=predictor.strength, max_iter=300)
        fitted.fit(features, column, sample_weight=lessons.weight)
        weight[k], bias[k] = fitted.coef_[0], fitted.intercept_[0]
    return {"weight": weight, "bias": bias}


def _decider(
    predictor: PredictorConfig, features: Array, wanted: np.ndarray, lessons: TrainingArrays
) -> dict[str, np.ndarray]:
    """One machine a score: against the rest, or for the number, from the rows where it is known."""
    fitted = [_one(predictor, features, column, lessons) for column in wanted.T]
    if predictor.name != "svm_rbf":
        weight = np.stack([np.zeros(features.shape[1]) if one is None else np.ravel(one.coef_) for one in fitted])
        bias = [_constant(wanted[:, k]) if one is None else float(np.ravel(one.intercept_)[0])
                for k, one in enumerate(fitted)]  # fmt: skip
        return {"weight": weight, "bias": np.array(bias)}
    every = np.unique(np.concatenate([one.support_ for one in fitted if one is not None] or [np.zeros(0, dtype=int)]))
    dual, bias = np.zeros((len(fitted), len(every))), []
    for k, one in enumerate(fitted):
        bias.append(_constant(wanted[:, k]) if one is None else float(one.intercept_[0]))
        if one is not None:
            dual[k, np.searchsorted(every, one.support_)] = _dense(one.dual_coef_)[0]
    return {"support": _dense(features[every]), "dual": dual, "bias": np.array(bias), "gamma": np.array(_GAMMA)}


def _one(predictor: PredictorConfig, features: Array, column: np.ndarray, lessons: TrainingArrays) -> Any:
    """A fitted machine for one score; None where all rows are alike."""
    from sklearn.linear_model import Ridge
    from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

    known = ~np.isnan(column)
    if not known.any() or np.ptp(column[known]) == 0:
        return None
    c, classes, seed = predictor.strength, lessons.meaning != "numbers", lessons.seed % 2**32
    machine = {
        "ridge": lambda: Ridge(alpha=1 / c),
        "svm": lambda: LinearSVC(C=c, random_state=seed) if classes else LinearSVR(C=c, random_state=seed),
        "svm_rbf": lambda: SVC(C=c, gamma=_GAMMA) if classes else SVR(C=c, gamma=_GAMMA),
    }[predictor.name]()
    rows = np.flatnonzero(known)
    machine.fit(features[rows], column[rows], sample_weight=lessons.weight[rows])
    if hasattr(machine, "support_"):
        machine.support_ = rows[machine.support_]
    return machine


def _constant(column: np.ndarray) -> float:
    """What to say where all rows that are known are alike."""
    known = column[~np.isnan(column)]
    return float(known.mean()) if len(known) else 0.0


def _calibrated(
    predictor: PredictorConfig, features: Array, wanted: np.ndarray, lessons: TrainingArrays
) -> dict[str, np.ndarray]:
    """Slope and offset from decisions to log-probabilities, or log odds."""
    from sklearn.linear_model import LogisticRegression

    num_scores = wanted.shape[1]
    truth = wanted.argmax(axis=1) if lessons.meaning == "classes" else (wanted > 0)
    decisions = _held_out(predictor, features, wanted, lessons)
    slope, offset = np.eye(num_scores), np.zeros(num_scores)
    if decisions is None:
        return {"slope": slope, "offset": offset}
    if lessons.meaning == "classes":
        seen = np.bincount(truth, minlength=num_scores) > 0

        def loss(log_slope: float) -> float:
            scores = np.where(seen, np.exp(log_slope) * decisions, -np.inf)
            log_probability = scores[np.arange(len(truth)), truth] - np.logaddexp.reduce(scores, axis=1)
            return -float(np.average(log_probability, weights=lessons.weight))

        slope *= np.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x)
        return {"slope": slope, "offset": np.where(seen, 0.0, _UNSEEN)}
    for k, column in enumerate(truth.T):
        if np.ptp(column.astype(int)):
            fitted = LogisticRegression(C=100.0).fit(decisions[:, [k]], column, sample_weight=lessons.weight)
            slope[k, k], offset[k] = fitted.coef_[0, 0], fitted.intercept_[0]
    return {"slope": slope, "offset": offset}


def _held_out(
    predictor: PredictorConfig, features: Array, wanted: np.ndarray, lessons: TrainingArrays
) -> np.ndarray | None:
    """Decisions for every row by machines that did not learn from it; None where a class has one row only."""
    from sklearn.model_selection import KFold, StratifiedKFold

    num_rows, num_scores = wanted.shape
    if lessons.meaning == "classes":
        labels = wanted.argmax(axis=1)
        counts = np.bincount(labels)
        folds = min(_FOLDS, int(counts[counts > 0].min()))
        pairs = StratifiedKFold(folds, shuffle=True, random_state=0).split(labels, labels) if folds > 1 else None
    else:
        pairs = KFold(min(_FOLDS, num_rows), shuffle=True, random_state=0).split(wanted) if num_rows > 1 else None
    if pairs is None:
        return None
    result = np.zeros((num_rows, num_scores))
    for train, held in pairs:
        part = TrainingArrays(lessons.features[:0], lessons.target[train], lessons.weight[train], lessons.meaning,
                       scale=False, seed=lessons.seed)  # fmt: skip
        result[held] = _decisions(_decider(predictor, features[train], wanted[train], part), features[held])
    return result


def _decisions(arrays: dict[str, np.ndarray], features: Array) -> np.ndarray:
    """What a machine with these arrays decides."""
    if "support" in arrays:
        distance = cdist(_dense(features), arrays["support"], "sqeuclidean")
        return np.asarray(np.exp(-arrays["gamma"] * distance) @ arrays["dual"].T + arrays["bias"])
    return np.asarray(features @ arrays["weight"].T + arrays["bias"])


def _fit_foreign(
    machine: Foreign, estimator: Any, features: np.ndarray, lessons: TrainingArrays, wanted: np.ndarray
) -> None:
    from sklearn.base import clone, is_regressor

    machine.unsaveable = type(estimator).__name__
    if lessons.meaning != "numbers" and is_regressor(estimator):
        raise ConfigError(f"stage: {machine.unsaveable} predicts numbers, and the target is of classes.")
    if lessons.meaning == "classes":
        machine.estimators = [clone(estimator).fit(features, wanted.argmax(axis=1))]
        machine.classes = machine.estimators[0].classes_
    elif lessons.meaning == "labels":
        machine.estimators = [clone(estimator).fit(features, (column > 0).astype(int)) for column in wanted.T]
    else:
        known = [~np.isnan(column) for column in wanted.T]
        machine.estimators = [
            clone(estimator).fit(features[rows], column[rows]) for rows, column in zip(known, wanted.T, strict=True)
        ]
    decisions_of(machine.estimators, machine.classes, features[:1], wanted.shape[1])  # refused now, not in use


def decisions_of(
    estimators: Sequence[Any], classes: np.ndarray | None, features: np.ndarray, num_scores: int
) -> Float[np.ndarray, "N K"]:
    """Scores from fitted estimators: log-probabilities, log odds, or numbers.

    Raises:
        ConfigError: a classifier without `predict_proba`.
    """
    if getattr(estimators[0], "_estimator_type", "") == "regressor" or not hasattr(estimators[0], "classes_"):
        return np.stack([np.ravel(one.predict(features)) for one in estimators], axis=1)
    if not hasattr(estimators[0], "predict_proba"):
        raise ConfigError(
            f"{type(estimators[0]).__name__} gives no probabilities (predict_proba); wrap it in scikit-learn's "
            "CalibratedClassifierCV."
        )
    if classes is not None:
        scores = np.full((len(features), num_scores), np.log(_CONFIDENT))
        scores[:, classes.astype(int)] = np.log(np.maximum(estimators[0].predict_proba(features), _CONFIDENT))
        return scores
    columns = []
    for one in estimators:
        having = (
            one.predict_proba(features)[:, -1] if len(one.classes_) > 1 else np.full(len(features), one.classes_[0])
        )
        having = np.clip(having, _CONFIDENT, 1 - _CONFIDENT)
        columns.append(np.log(having / (1 - having)))
    return np.stack(columns, axis=1)


def _dense(features: Array) -> np.ndarray:
    return np.asarray(features.toarray() if sparse.issparse(features) else features, dtype=np.float64)


@contextmanager
def _quietly() -> Iterator[None]:
    """Solvers that end before they converge are good enough here, as in `evaluation.baselines`."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
