"""scikit-learn's door: `Classifier` and `Regressor`, and `load` for what they saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score

from polymodal import bundle as bundles
from polymodal import registry
from polymodal.bundle import Bundle
from polymodal.config import ColumnConfig, Part
from polymodal.data.prepare import Reject
from polymodal.data.table import Table, read_table
from polymodal.data.target import target_cells
from polymodal.data.xy import attach, attach_target, checked, is_numeric, targets_of
from polymodal.errors import BundleError, DataError
from polymodal.evaluation.evaluate import Report, evaluate_scores
from polymodal.notebook import summary
from polymodal.parameters import Parameters
from polymodal.predict import Predictions, predict
from polymodal.run import train
from polymodal.schema import Target
from polymodal.task_choice import choose_task
from polymodal.training.callbacks import Callback, Progress
from polymodal.training.history import History

_Self = TypeVar("_Self", bound="_Estimator")
_Truth = Float[np.ndarray, "rows ..."]
_Rows = Bool[np.ndarray, " rows"]


class _Estimator(Parameters):
    """What both estimators share: training, measuring, saving."""

    _several: ClassVar[bool] = False  # more than one column can be predicted
    _chooses: ClassVar[tuple[str, ...]] = ()  # tasks of which the surest is taken where none is named
    bundle_: Bundle
    history_: History
    rejects_: tuple[Reject, ...]

    def fit(self: _Self, X: object, y: object = None, sample_weight: object = None) -> _Self:
        """Trains on all rows that have a target.

        Some of them (`split.validation`, 15 % unless set) decide when to stop; then the model is trained once more on
        all. None is set aside for a test, unless the configuration sets `split.test` or `split.column`.

        Args:
            X: any table that `read_table` takes, or array-like [rows, columns]; columns of a numeric array are
                numbers, those of a table are what their cells say.
            y: a column's name in X, or one value a row; for a Regressor also several names, or [rows, K]. Without it,
                the configuration names the column.
            sample_weight: a column's name in X, or one number a row.

        Raises:
            ValueError: y is absent, or not one value a row.
            UsageError: a parameter, name or value that does not fit.
            DataError: the table cannot be learned from.
            NonFiniteLossError: training diverged.
        """
        config, source = self._run_config(), checked(X)
        table = read_table(source, text=config.table)
        numbers = table.names if is_numeric(source) else ()
        table, target = attach_target(table, y, name=config.target, several=self._several)
        table, weight = attach(table, sample_weight, name=config.weight, role="sample_weight")
        if target is None:
            raise ValueError(  # in scikit-learn's words
                f"This {type(self).__name__} requires y to be passed, but the target y is None: give one value a row, "
                f"or name one of the columns {', '.join(table.names)}."
            )
        values = target_cells(table, target)
        self._check_target([value for value in values if value is not None], target)
        said = dict.fromkeys(numbers, ColumnConfig(modality=Part(name="number"))) | config.columns
        config = config.model_copy(update={"target": target, "weight": weight, "columns": said})
        task = Part(name=self._tasks[0], **config.task.settings)
        if self._chooses and any(value is not None for value in values):
            task = choose_task(values, config, among=self._chooses)
        config = config.model_copy(update={"task": config.task if config.task.name else task})
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay what they were
            run = train(table, config, watch=self._watch)
        if not run.history.epochs:
            raise KeyboardInterrupt  # before anything was learned
        self.bundle_, self.history_, self.rejects_ = run.bundle, run.history, run.rejects
        return self

    def evaluate(self, X: object, y: object = None) -> Report:
        """Every metric of the task, with 95 % bootstrap intervals, over the rows whose target is known.

        Args:
            X: as for `fit`.
            y: a column's name in X, or one value a row; without it, X holds the target under its name of training.

        Returns:
            `{"accuracy": {"value": ..., "low": ..., "high": ...}, ...}`
        """
        predictions, truth, _ = self._measured(X, y)
        return evaluate_scores(self._head, predictions.scores, truth, seed=self._fitted.config.seed)

    def save(self, folder: Path | str) -> int:
        """Writes the model as a bundle, replacing an older one; `polymodal.load` reads it. Returns its size in bytes.

        Raises:
            BundleError: the folder holds other files, or the disk refuses.
        """
        return bundles.save(self._fitted, folder)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns that `fit` saw, less those with a role (target, weight, split); arrays have none."""
        names = self._names_in()
        if names == [f"x{place}" for place in range(len(names))]:
            raise AttributeError("the columns of an array have no names")
        return np.array(names, dtype=object)

    @property
    def n_features_in_(self) -> int:
        """Number of columns that `fit` saw, less those with a role (target, weight, split)."""
        return len(self._names_in())

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "bundle_" in state:
            state["bundle_"] = bundles.to_bytes(state["bundle_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "bundle_" in state:
            state = {**state, "bundle_": bundles.from_bytes(state["bundle_"])}
        super().__setstate__(state)

    def _html_repr(self) -> str:
        """scikit-learn's diagram; of a fitted model its inputs and metrics as well. Notebooks ask `_repr_html_`."""
        diagram = str(super()._html_repr())
        return diagram + summary(self.bundle_) if hasattr(self, "bundle_") else diagram

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _watch(self, phase: str, epochs: int, metric: str) -> list[Callback]:  # noqa: ARG002
        return [Progress(epochs, metric=metric, verbose=True)] if self.verbose else []

    def _check_target(self, values: list[object], column: str | tuple[str, ...]) -> None:
        """Raises DataError where the values are plainly another task's; most is left to the task itself."""

    @property
    def _fitted(self) -> Bundle:
        if not hasattr(self, "bundle_"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted yet: call fit, or polymodal.load a bundle.")
        return self.bundle_

    @property
    def _head(self) -> Any:
        """The fitted task; its class is the task's own."""
        return self._fitted.model.head

    @property
    def _target(self) -> Target:
        target = self._fitted.schema.target
        assert target is not None, "a model that was trained has a target"
        return target

    def _names_in(self) -> list[str]:
        config, schema = self._fitted.config, self._fitted.schema
        roles = {*self._target.columns, config.weight, config.split.column, config.split.by}
        return [column.name for column in schema.columns if column.name not in roles]

    def _table(self, X: object) -> Table:
        source, expected = checked(X), self.n_features_in_
        table = read_table(source, text=self._fitted.config.table)
        if isinstance(source, np.ndarray) and len(table.names) != expected:  # its columns have no names to miss
            raise ValueError(
                f"X has {len(table.names)} features, but {type(self).__name__} is expecting {expected} features as "
                "input."
            )
        return table

    def _predict(self, table: Table) -> Predictions:
        return predict(self._fitted, table, device=self.device or self._fitted.config.device)

    def _measured(self, X: object, y: object) -> tuple[Predictions, _Truth, _Rows]:
        """Predictions; the truth as the task encodes it (NaN: missing, or a class new to it); rows that have a target.

        Raises:
            ColumnError: X lacks the target.
            DataError: no row has a target that the model knows.
        """
        table, target = self._table(X), self._target
        values = targets_of(table, y, name=target.column)
        truth = np.asarray(self._head.encode_target(values, target.statistics))
        if np.isnan(truth).all():
            raise DataError(f"{table.source}: no row has a target {target.name!r} that the model knows.")
        return self._predict(table), truth, np.array([value is not None for value in values])


class Classifier(ClassifierMixin, _Estimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learns classes from a table of text, images, audio, numbers and categories.

    Where y holds lists of labels, or texts such as "red|round", it learns which of many labels a row has (the task
    `tag`): `predict` then gives lists, `predict_proba` a probability for each label by itself. The task `ordinal`, for
    classes in an order, is taken where `config` names it: `config={"task": {"name": "ordinal", "order": [...]}}`.

    A scikit-learn estimator. A parameter of None leaves the choice to `config`, and that to the defaults. Any path of
    the configuration is a parameter as well: `set_params(**{"train.optimizer.weight_decay": 0.01})`.

    Args:
        columns: what is known about single columns: `{"photo": {"modality": "image", "encoder": "resnet"}}`.
        fusion: how inputs are combined, by name or with settings: `{"name": "concat", "width": 64}`.
        epochs: at most so many.
        lr: learning rate.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        seed: of everything random.
        config: a configuration to start from: a RunConfig, a mapping, or a YAML file.
        verbose: shows the progress of training on stderr.

    Attributes:
        bundle_: the trained model with its schema, complete configuration and metrics.
        classes_: in the order of `predict_proba`, with the type that they had in y.
        n_features_in_: number of columns of X.
        feature_names_in_: their names; arrays have none.
        history_: of the training with validation rows; a loaded model has none.
        rejects_: cells of X that `fit` could not read; a loaded model has none.

    >>> table = {"size": [1.0, 9.0, 2.0, 8.0] * 5, "kind": ["small", "large"] * 10}
    >>> Classifier(epochs=10).fit(table, y="kind").predict({"size": [1.5, 8.5]}).tolist()
    ['small', 'large']
    """

    _tasks = ("classify", "ordinal", "tag")
    _chooses = ("classify", "tag")

    @property
    def classes_(self) -> np.ndarray:
        """The classes, or labels, in the order of `predict_proba`."""
        return np.array(self._head.labels.tolist())

    def predict(self, X: object) -> np.ndarray:
        """The most probable class of each row of X, which needs no target; of a tagger the list of its labels."""
        scores = self._predict(self._table(X)).scores
        if self._tags:
            return np.fromiter(self._head.chosen(scores), dtype=object)
        return np.asarray(self.classes_[scores.argmax(axis=1)])

    def predict_proba(self, X: object) -> Float[np.ndarray, "rows K"]:
        """The probability of each class, columns in the order of `classes_`."""
        scores = self._predict(self._table(X)).scores
        return np.asarray(
            self._head.probabilities(scores) if self._tags else np.exp(self._head.log_probabilities(scores))
        )

    def score(self, X: object, y: object = None, sample_weight: object = None) -> float:
        """Accuracy over the rows that have a target; a class new to the model counts as wrong. Of a tagger, macro AP.

        Args:
            X: as for `fit`.
            y: a column's name in X, or one value a row; without it, X holds the target under its name of training.
            sample_weight: one number a row.
        """
        predictions, truth, rows = self._measured(X, y)
        if self._tags:
            return _weighted(self._head, predictions, truth, rows, sample_weight)
        correct = predictions.scores.argmax(axis=1) == truth
        return float(np.average(correct[rows], weights=_of_rows(sample_weight, rows)))

    @property
    def _tags(self) -> bool:
        return self._target.task == "tag"

    def _check_target(self, values: list[object], column: str | tuple[str, ...]) -> None:
        if values and not any(registry.load("tasks", task).recognise(values) for task in self._chooses):
            raise DataError(
                f"The target column {column!r} holds values such as {values[0]!r}, which are no classes. "
                "Use Regressor for continuous values, or turn them into words."
            )


class Regressor(RegressorMixin, _Estimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learns a number from a table of text, images, audio, numbers and categories.

    A scikit-learn estimator with the parameters and attributes of `Classifier`, except `classes_`.

    >>> table = {"size": [1.0, 9.0, 2.0, 8.0] * 5, "price": [10.0, 90.0, 20.0, 80.0] * 5}
    >>> Regressor(epochs=3).fit(table, y="price").predict({"size": [1.0, 9.0]}).shape
    (2,)
    """

    _tasks = ("regress",)
    _several = True

    def predict(self, X: object) -> Float[np.ndarray, "rows ..."]:
        """The number of each row of X, which needs no target; of several targets [rows, K]."""
        columns = self._predict(self._table(X)).columns
        return np.asarray(columns["prediction"] if "prediction" in columns else np.stack([*columns.values()], axis=1))

    def score(self, X: object, y: object = None, sample_weight: object = None) -> float:
        """R2 over the rows that have a target; of several targets the mean.

        Args:
            X: as for `fit`.
            y: a column's name in X, or one value a row; without it, X holds the target under its name of training.
            sample_weight: one number a row.
        """
        predictions, truth, rows = self._measured(X, y)
        if truth.ndim == 2:
            return _weighted(self._head, predictions, truth, rows, sample_weight)
        predicted = predictions.scores[rows, 0]  # standardised as the truth is, which does not change R2
        return float(r2_score(truth[rows], predicted, sample_weight=_of_rows(sample_weight, rows)))


def load(folder: Path | str) -> Classifier | Regressor:
    """The fitted estimator of a bundle that `save` or `polymodal train` left in a folder.

    Its configuration is the bundle's, so that `fit` trains such a model again; the device is chosen anew.

    Raises:
        BundleError: there is none, it is damaged, or no estimator does its task.
    """
    bundle = bundles.load(folder)
    kinds: dict[str, type[Classifier | Regressor]] = {
        task: kind for kind in (Classifier, Regressor) for task in kind._tasks
    }
    task = bundle.schema.target.task if bundle.schema.target else "none"
    if task not in kinds:
        raise BundleError(f"{folder}: no estimator does the task {task!r}. Known: {', '.join(kinds)}.")
    estimator = kinds[task](config=bundle.config, device="auto")
    estimator.bundle_ = bundle
    return estimator


def _weighted(head: Any, predictions: Predictions, truth: _Truth, rows: _Rows, sample_weight: object) -> float:
    """The task's first metric over the rows that have a target."""
    weights = _of_rows(sample_weight, rows)
    weights = np.ones(int(rows.sum())) if weights is None else weights
    return float(head.weighted_metrics(predictions.scores[rows], truth[rows], weights[None])[head.metric][0])


def _of_rows(weight: object, rows: _Rows) -> Float[np.ndarray, " kept"] | None:
    """The sample weights of some rows.

    Raises:
        ValueError: not one number a row.
    """
    if weight is None:
        return None
    weights = np.asarray(weight, dtype=float)
    if weights.shape != rows.shape:
        raise ValueError(f"sample_weight has the shape {weights.shape}; give one number for each of {len(rows)} rows.")
    return np.asarray(weights[rows])
