"""What the estimators share: training, learning more, measuring, saving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, overload
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.exceptions import NotFittedError

from polymodal import registry
from polymodal.config.run_config import Part
from polymodal.data.tables.table import Table, read_table
from polymodal.data.target.cells import row_weights, target_cells
from polymodal.data.target.class_names import name_of
from polymodal.data.target.xy import attach, checked, targets_of
from polymodal.errors import UsageError, collecting_warnings, warn
from polymodal.estimators import telling
from polymodal.estimators.arguments import weights_of, with_classes
from polymodal.estimators.parameters import Parameters
from polymodal.estimators.python_words import in_python, python_words
from polymodal.estimators.told import begin, tell
from polymodal.metrics.direction import greater_is_better
from polymodal.schema import Target
from polymodal.updating.rows import Labelled, Reservoir

if TYPE_CHECKING:  # what needs PyTorch is imported where it is used
    from polymodal.bundles.bundle import Bundle
    from polymodal.data.cells.prepare import Reject
    from polymodal.evaluation.evaluate import Truth
    from polymodal.inference.predictions import Predictions
    from polymodal.inference.predictor import Predictor
    from polymodal.metrics.history import History
    from polymodal.pipeline.run import Run
    from polymodal.training.callbacks import Callback

_Self = TypeVar("_Self", bound="TableEstimator")


class TableEstimator(Parameters):
    """What the estimators share."""

    _several: ClassVar[bool] = False  # more than one column can be predicted
    _chooses: ClassVar[tuple[str, ...]] = ()  # tasks of which the surest is taken where none is named
    bundle_: Bundle
    history_: History
    rejects_: tuple[Reject, ...]
    warnings_: tuple[str, ...]
    _run: Run | None = None  # of `fit`, for the report
    _memory: Reservoir | None = None  # rows that partial_fit learns from again

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
        self._fit(X, y, sample_weight)
        return self

    def _fit(self, X: object, y: object, sample_weight: object, *, classes: Sequence[object] | None = None) -> Labelled:
        """Trains, and gives what it learned from."""
        import torch

        from polymodal.pipeline.choices import choose_task, with_target
        from polymodal.pipeline.run import train

        table, config = with_target(X, y, self._run_config(), several=self._several)
        table, weight = attach(table, sample_weight, name=config.weight, role="sample_weight")
        target = config.target
        targeted = config.task.name is None or registry.load("tasks", config.task.name).targeted
        if target is None and targeted:
            raise ValueError(  # in scikit-learn's words
                f"This {type(self).__name__} requires y to be passed, but the target y is None: give one value a row, "
                f"or name one of the columns {', '.join(table.names)}."
            )
        values = target_cells(table, target) if target is not None else [None] * table.num_rows
        if target is not None:
            self._check_target([value for value in values if value is not None], target)
        task = config.task
        if task.name is None and self._tasks:
            task = Part(name=self._tasks[0], **config.task.settings)
            if self._chooses and any(value is not None for value in values):
                task = choose_task(values, config, among=self._chooses)
        task = task if classes is None else with_classes(task, classes)
        config = config.model_copy(update={"weight": weight, "task": task})
        # the caller's random numbers stay
        with torch.random.fork_rng(devices=[]), collecting_warnings() as told, python_words(table.names):
            run = train(table, config, make_callbacks=self._make_callbacks, estimators=self._estimators())
        if run.history.interrupted and not run.history.epochs:
            raise KeyboardInterrupt  # before anything was learned
        self.bundle_, self.history_, self.rejects_ = run.bundle, run.history, run.rejects
        self._run, self._memory = run, None
        sentences = tuple(in_python(sentence, table.names) for sentence in telling.of_fit(run))
        self.warnings_ = (*told, *sentences)
        warn(*sentences)
        begin(self, run.notes)
        return Labelled(table, values, None if weight is None else row_weights(table, weight))

    def _learn(self, X: object, y: object, sample_weight: object, *, classes: Sequence[object] | None = None) -> None:
        """The first time `fit`, then more learning from new rows and kept ones."""
        import torch

        from polymodal.updating.update import learn_rows

        if not hasattr(self, "bundle_"):
            new = self._fit(X, y, sample_weight, classes=classes)
        else:
            known: Any = self._target.statistics.get("classes", [])
            if classes is not None and {name_of(value) for value in classes} != set(known):
                raise ValueError(
                    f"classes={list(classes)!r} are not those of the first call of partial_fit: {', '.join(known)}."
                )
            table = self._table(X)
            weighted, weight = attach(table, sample_weight, name=self.bundle_.config.weight, role="sample_weight")
            weights = row_weights(weighted, weight) if weight in weighted.names else None  # each call may have some
            new = Labelled(table, targets_of(table, y, name=self._target.column), weights)
            said = self._run_config()
            config = self.bundle_.config.model_copy(update={"update": said.update})
            old = [] if self._memory is None else self._memory.rows()
            with torch.random.fork_rng(devices=[]):
                self.bundle_ = learn_rows(
                    replace(self.bundle_, config=config),
                    new,
                    old,
                    make_callbacks=lambda epochs: self._make_callbacks("update", epochs, ""),
                    on_rejects=lambda rejects: warn(*telling.of_rejects(rejects, table, config)),
                )
            self._run = None  # the report is of another model
        if self._memory is None:
            config = self.bundle_.config
            self._memory = Reservoir(config.update.memory, seed=config.seed)
        used = [column.name for column in self.bundle_.schema.features()]
        others = [name for name in new.table.names if name not in used]
        self._memory.add(replace(new, table=new.table.without(others)))

    @overload
    def predict(self, X: object, *, return_status: Literal[False] = False) -> np.ndarray: ...

    @overload
    def predict(self, X: object, *, return_status: Literal[True]) -> tuple[np.ndarray, np.ndarray]: ...

    def predict(self, X: object, *, return_status: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """What the model says of each row of X, which needs no target.

        A classifier gives the most probable class; of several targets [rows, K]; a tagger the list of its labels.

        Args:
            X: as for `fit`.
            return_status: also give, for each row, `ok`, or `partial: photo unreadable (not an image)` where a cell
                could not be read and counted as missing, or `prior: no input present`.
        """
        predictions = self._predict(X)
        predicted = self._predicted(predictions)
        return (predicted, np.array(predictions.status, dtype=object)) if return_status else predicted

    def _predicted(self, predictions: Predictions) -> np.ndarray:
        columns = predictions.columns
        if "prediction" in columns:
            return np.asarray(columns["prediction"])
        return np.stack([column for name, column in columns.items() if name.startswith("prediction_")], axis=1)

    def score(self, X: object, y: object = None, sample_weight: object = None) -> float:
        """The task's first metric over the rows whose target is known; negative where a smaller one is better.

        Arguments as for `Classifier.score`.
        """
        from polymodal.metrics.rows import RowStatistics

        predictions, truth = self._measured(X, y)
        warn(*telling.of_truth(truth))
        task, weights = self._task, weights_of(sample_weight, truth.known)
        found = RowStatistics.of(task, predictions.prediction, truth.target)
        values = found.metrics(np.ones((1, len(found))) if weights is None else weights[None])[task.metric]
        return float(values[0]) if greater_is_better(task.greater_is_better, task.metric) else -float(values[0])

    def evaluate(self, X: object, y: object = None) -> dict[str, dict[str, float]]:
        """Every metric of the task, with 95 % bootstrap intervals, over the rows whose target is known.

        Arguments as for `score`.

        Returns:
            `{"accuracy": {"value": ..., "low": ..., "high": ...}, ...}`
        """
        predictions, truth = self._measured(X, y)
        warn(*telling.of_truth(truth))
        report = truth.report(self._task, predictions.prediction, seed=self._fitted.config.seed)
        return {name: asdict(interval) for name, interval in report.items()}

    def evaluate_subsets(self, X: object, y: object = None) -> dict[str, Any]:
        """Metrics of every subset of the inputs, and with inputs hidden at random from 0 to 100 %.

        Arguments as for `score`.

        Returns:
            JSON values. `metric`: the one to look at first. `subsets`: for each its `inputs`, its `metrics`, and
            `change`: of that one metric from what all inputs give. `hidden`: for each `rate` the `metrics`.
        """
        from polymodal.evaluation.robustness import evaluate_subsets

        table = self._table(X)
        truth = self._truth(table, y).target
        found = evaluate_subsets(self._fitted, table, truth, device=self.device or self._fitted.config.device)
        return found.model_dump(mode="json")

    def report(self, path: Path | str, *, interactive: bool = False) -> None:
        """Writes the report of the training by `fit`, one HTML file, as `polymodal train` does.

        Args:
            path: of the file.
            interactive: figures by plotly, which adds about 5 MB.

        Raises:
            UsageError: the model was loaded, copied or has learned from more rows; or the file cannot be written.
            MissingExtraError: matplotlib, or plotly, is not installed.
        """
        from polymodal.report.page import write

        bundle = self._fitted
        if self._run is None or self._run.bundle is not bundle:
            raise UsageError(
                "report shows the data of a training, which stay in the estimator that was fitted until it learns from "
                "more rows: call it after fit. `polymodal train` writes a report beside its bundle."
            )
        write(self._run, Path(path), interactive=interactive)

    def save(self, folder: Path | str) -> int:
        """Writes the model as a bundle, replacing an older one; `polymodal.load` reads it. Returns its size in bytes.

        Raises:
            BundleError: the folder holds other files, or the disk refuses.
        """
        from polymodal.bundles.bundle import save

        return save(self._fitted, folder)

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
        state = dict(super().__getstate__()) | {"_memory": None, "_run": None}  # rows of data stay where they are
        if "bundle_" in state:
            from polymodal.bundles.bundle import to_bytes

            state["bundle_"] = to_bytes(state["bundle_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "bundle_" in state:
            from polymodal.bundles.bundle import from_bytes

            state = {**state, "bundle_": from_bytes(state["bundle_"])}
        super().__setstate__(state)

    def _html_repr(self) -> str:
        """scikit-learn's diagram; of a fitted model its inputs and metrics as well. Notebooks ask `_repr_html_`."""
        diagram = str(super()._html_repr())
        if not hasattr(self, "bundle_"):
            return diagram
        from polymodal.estimators.html import summary

        return diagram + summary(self.bundle_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _make_callbacks(self, phase: str, epochs: int, metric: str) -> list[Callback]:
        from polymodal.training.callbacks import Progress

        return [Progress(epochs, metric=metric, verbose=True)] if self.verbose else []

    def _check_target(self, values: list[object], column: str | tuple[str, ...]) -> None:
        """Raises DataError where the values are plainly another task's; most is left to the task itself."""

    @property
    def _fitted(self) -> Bundle:
        if not hasattr(self, "bundle_"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted yet: call fit, or polymodal.load a bundle.")
        return self.bundle_

    @property
    def _task(self) -> Any:
        """The fitted task; its class is its own."""
        return self._fitted.task

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

    def _predict(self, X: object) -> Predictions:
        return self._predict_table(self._table(X), X)

    def _predict_table(self, table: Table, X: object) -> Predictions:
        """Predictions of all rows; warns of cells that could not be read, or not as they stand, once of one X."""
        notes: list[str] = []
        predictions = self._predictor()(table, on_message=notes.append)
        tell(self, X, predictions.warnings, notes)
        return predictions

    def _predictor(self) -> Predictor:
        """That of the bundle and device of now, made once."""
        from polymodal.inference.predictor import Predictor

        bundle, device = self._fitted, self.device or self._fitted.config.device
        known = _PREDICTORS.get(self)
        if known is None or known[0] != device or known[1].bundle is not bundle:
            known = _PREDICTORS[self] = (device, Predictor(bundle, device))
        return known[1]

    def _measured(self, X: object, y: object) -> tuple[Predictions, Truth]:
        """Predictions, and the truth beside them.

        Raises:
            ColumnError: X lacks the target.
            DataError: no row has a target that the model knows.
        """
        table = self._table(X)
        truth = self._truth(table, y)
        return self._predict_table(table, X), truth

    def _truth(self, table: Table, y: object) -> Truth:
        from polymodal.evaluation.evaluate import truth_of

        target = self._target
        values = targets_of(table, y, name=target.column) if target.columns else None
        return truth_of(self._task, target, table, values)


_PREDICTORS: WeakKeyDictionary[TableEstimator, tuple[str, Predictor]] = WeakKeyDictionary()
"""The predictor of each estimator, and for which device: predicting must leave an estimator as it is."""
