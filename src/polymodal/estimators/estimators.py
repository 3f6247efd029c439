"""scikit-learn's door: `Classifier`, `Regressor`, `Generator` and `Estimator`, and `load` for what they saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from sklearn.base import ClassifierMixin, RegressorMixin

from polymodal import registry
from polymodal.data.tables.column_data import shown
from polymodal.data.target.dates import why_dates_are_no_target
from polymodal.errors import DataError, warn
from polymodal.estimators import telling
from polymodal.estimators.arguments import weights_of
from polymodal.estimators.generator import Generator
from polymodal.estimators.table_estimator import TableEstimator

if TYPE_CHECKING:  # what needs PyTorch is imported where it is used
    from polymodal.inference.predictions import Predictions
    from polymodal.protocols import Prediction


class Classifier(ClassifierMixin, TableEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learns classes from a table of text, images, audio, numbers and categories.

    Where y holds lists of labels, or texts such as "red|round", it learns which of many labels a row has (the task
    `tag`): `predict` then gives lists, `predict_proba` a probability for each label by itself. The task `ordinal`, for
    classes in an order, is taken where `config` names it: `config={"task": {"name": "ordinal", "order": [...]}}`.

    A scikit-learn estimator. A parameter of None leaves the choice to `config`, and that to the defaults. Any path of
    the configuration is a parameter as well: `Classifier(bad_cells="drop", **{"train.batch_size": 8})`, or in
    `set_params`.

    Args:
        columns: what is known about single columns: `{"photo": {"modality": "image", "encoder": "resnet"}}`.
        drop: columns not to learn from.
        preset: `fast`, `default` or `best`; `scratch` or `pretrained`; or one of each, in a list.
        fusion: how inputs are combined, by name or with settings: `{"name": "concat", "width": 64}`.
        stage: when they are: `early`, `intermediate`, `late`, `fuse_then_train` or `deep_ensemble`, by name or with
            settings.
        predictors: estimators of scikit-learn that learn in the place of layers: with stage `late` by input, such as
            `{"photo": RandomForestClassifier()}`; with `fuse_then_train` one. `save` refuses a model that has any.
        epochs: at most so many.
        lr: learning rate.
        budget: time for `fit`, such as `90s` or `10m`, or seconds: epochs, members and the final training are planned
            so that it ends in time. Results then depend on how fast the machine is.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        seed: of everything random.
        config: a configuration to start from: a RunConfig, a mapping, or a YAML file.
        verbose: shows the progress of training on stderr.
        settings: more of the configuration, by path.

    Attributes:
        bundle_: the trained model with its schema, complete configuration and metrics.
        classes_: in the order of `predict_proba`, with the type that they had in y.
        n_features_in_: number of columns of X.
        feature_names_in_: their names; arrays have none.
        history_: of the training with validation rows, `history_.to_pandas()` as a table; a loaded model has none.
        rejects_: cells of X that `fit` could not read; a loaded model has none.
        warnings_: what `fit` warned of, in sentences: columns and inputs that are left out, cells that could not be
            read, leaks. It gives each as a `polymodal.DataWarning`; `predict` warns likewise. A loaded model has none.

    >>> table = {"size": [1.0, 9.0, 2.0, 8.0] * 5, "kind": ["small", "large"] * 10}
    >>> Classifier(epochs=10).fit(table, y="kind").predict({"size": [1.5, 8.5]}).tolist()
    ['small', 'large']
    """

    _tasks = ("classify", "ordinal", "tag")
    _chooses = ("classify", "tag")

    def partial_fit(
        self, X: object, y: object = None, classes: Sequence[object] | None = None, sample_weight: object = None
    ) -> Classifier:
        """Learns from more rows; the first call is `fit`.

        Every later call makes `update.epochs` passes over its rows, of which none is held out. As many rows of earlier
        calls (`update.replay`) are learned from again: up to `update.memory` of them stay in this object, until the
        next `fit`. They are in no bundle and no pickle. What is known of columns and classes stays as the first call
        made it. `classes` are, in the first call, all that there will be; None: those of y. The rest is as for `fit`.

        Raises:
            ValueError: other classes than in the first call.
            DataError: y holds a class that is new to the model.
            UsageError, NonFiniteLossError: as `fit`.
        """
        self._learn(X, y, sample_weight, classes=classes)
        return self

    @property
    def classes_(self) -> np.ndarray:
        """The classes, or labels, in the order of `predict_proba`."""
        return np.array(self._task.labels.tolist())

    def _predicted(self, predictions: Predictions) -> np.ndarray:
        prediction = predictions.prediction
        if self._tags:
            return np.fromiter(self._task.chosen(prediction), dtype=object)
        return np.asarray(self.classes_[_best(prediction)])

    def predict_proba(self, X: object) -> Float[np.ndarray, "rows K"]:
        """The probability of each class, columns in the order of `classes_`."""
        return np.asarray(self._task.probabilities(self._predict(X).prediction))

    def score(self, X: object, y: object = None, sample_weight: object = None) -> float:
        """Accuracy over the rows that have a target; a class new to the model counts as wrong. Of a tagger, macro AP.

        `evaluate` leaves rows of such a class out, as no model could tell them; both warn of them with their number.

        Args:
            X: as for `fit`.
            y: a column's name in X, or one value a row; without it, X holds the target under its name of training.
            sample_weight: one number a row.
        """
        if self._tags:
            return TableEstimator.score(self, X, y, sample_weight)
        predictions, truth = self._measured(X, y)
        warn(*telling.of_truth(truth, new_are_wrong=True))
        assert truth.target is not None, "a classifier has a target"
        correct = _best(predictions.prediction) == truth.target.values[:, 0].numpy()
        rows = truth.labelled
        return float(np.average((correct & truth.known)[rows], weights=weights_of(sample_weight, rows)))

    @property
    def _tags(self) -> bool:
        from polymodal.abilities import Labelling

        return isinstance(self._task, Labelling)

    def _check_target(self, values: list[object], column: str | tuple[str, ...]) -> None:
        if values and not any(registry.load("tasks", task).recognise(values) for task in self._chooses):
            if (dates := why_dates_are_no_target(values, str(column))) is not None:
                raise DataError(dates)
            raise DataError(
                f"The target column {column!r} holds values such as {shown(values[0])}, which are no classes. "
                "Use Regressor for continuous values, or turn them into words."
            )


class Regressor(RegressorMixin, TableEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learns a number from a table of text, images, audio, numbers and categories.

    A scikit-learn estimator with the parameters and attributes of `Classifier`, except `classes_`.

    >>> table = {"size": [1.0, 9.0, 2.0, 8.0] * 5, "price": [10.0, 90.0, 20.0, 80.0] * 5}
    >>> Regressor(epochs=3).fit(table, y="price").predict({"size": [1.0, 9.0]}).shape
    (2,)
    """

    _tasks = ("regress",)
    _several = True

    def partial_fit(self, X: object, y: object = None, sample_weight: object = None) -> Regressor:
        """Learns from more rows; the first call is `fit`. See `Classifier.partial_fit`."""
        self._learn(X, y, sample_weight)
        return self

    def score(self, X: object, y: object = None, sample_weight: object = None) -> float:
        """R2 over the rows that have a target; of several targets the mean. Arguments as for `Classifier.score`."""
        return TableEstimator.score(self, X, y, sample_weight)


class Estimator(TableEstimator):
    """Learns whatever task is named, also one without a target: `Estimator(config={"task": "ordinal"})`.

    It has the parameters and attributes of `Classifier`, except `classes_`.

    >>> table = {"size": [1.0, 9.0, 2.0, 8.0] * 5, "grade": [1, 3, 1, 2] * 5}
    >>> Estimator(epochs=3, config={"task": "ordinal"}).fit(table, y="grade").predict({"size": [1.0, 9.0]}).shape
    (2,)
    """

    _tasks = ()
    _several = True


def load(folder: Path | str) -> Classifier | Regressor | Generator | Estimator:
    """The fitted estimator of a bundle that `save` or `polymodal train` left in a folder.

    Its configuration is the bundle's, so that `fit` trains such a model again; the device is chosen anew.

    Raises:
        BundleError: there is none, or it is damaged.
    """
    from polymodal.bundles.bundle import load as load_bundle

    bundle = load_bundle(folder)
    target = bundle.schema.target
    named = [kind for kind in (Classifier, Regressor, Generator) if target is not None and target.task in kind._tasks]
    kind: type[Classifier | Regressor | Generator | Estimator] = named[0] if named else Estimator
    estimator = kind(config=bundle.config, device="auto")
    estimator.bundle_ = bundle
    return estimator


def _best(prediction: Prediction) -> np.ndarray:
    """The place of the most probable class of each row."""
    from polymodal.types import Scores

    assert isinstance(prediction, Scores), "a classifier gives scores"
    found: np.ndarray = prediction.values.numpy().argmax(axis=1)
    return found
