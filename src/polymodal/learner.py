"""What `Classifier` and `Regressor` share: training, learning more, measuring, saving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from sklearn.exceptions import NotFittedError

from polymodal import bundle as bundles
from polymodal.bundle import Bundle
from polymodal.config import ColumnConfig, Part
from polymodal.data.prepare import Reject
from polymodal.data.table import Table, read_table
from polymodal.data.target import target_cells
from polymodal.data.weights import row_weights
from polymodal.data.xy import attach, attach_target, checked, is_numeric, targets_of
from polymodal.errors import DataError
from polymodal.evaluation.evaluate import Report, evaluate_scores
from polymodal.evaluation.robustness import evaluate_subsets
from polymodal.labels import name_of
from polymodal.notebook import summary
from polymodal.parameters import Parameters
from polymodal.predict import Predictions, predict
from polymodal.run import train
from polymodal.schema import Target
from polymodal.task_choice import choose_task
from polymodal.training.callbacks import Callback, Progress
from polymodal.training.history import History
from polymodal.updating.replay import Labelled, Reservoir
from polymodal.updating.update import learn_rows

_Self = TypeVar("_Self", bound="Learner")
_Truth = Float[np.ndarray, "rows ..."]
_Rows = Bool[np.ndarray, " rows"]


class Learner(Parameters):
    """What both estimators share."""

    _several: ClassVar[bool] = False  # more than one column can be predicted
    _chooses: ClassVar[tuple[str, ...]] = ()  # tasks of which the surest is taken where none is named
    bundle_: Bundle
    history_: History
    rejects_: tuple[Reject, ...]
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
        task = config.task if config.task.name else task
        config = config.model_copy(update={"task": task if classes is None else _with_classes(task, classes)})
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay what they were
            run = train(table, config, watch=self._watch, estimators=self._estimators())
        if run.history.interrupted and not run.history.epochs:
            raise KeyboardInterrupt  # before anything was learned
        self.bundle_, self.history_, self.rejects_ = run.bundle, run.history, run.rejects
        self._memory = None
        return Labelled(table, values, None if weight is None else row_weights(table, weight))

    def _learn(self, X: object, y: object, sample_weight: object, *, classes: Sequence[object] | None = None) -> None:
        """The first time `fit`, then more learning from new rows and kept ones."""
        if not hasattr(self, "bundle_"):
            new = self._fit(X, y, sample_weight, classes=classes)
        else:
            self._refuse_classes(classes)
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
                    watch=lambda epochs: self._watch("update", epochs, ""),
                )
        if self._memory is None:
            config = self.bundle_.config
            self._memory = Reservoir(config.update.memory, seed=config.seed)
        used = [column.name for column in self.bundle_.schema.features()]
        others = [name for name in new.table.names if name not in used]
        self._memory.add(replace(new, table=new.table.without(others)))

    def _refuse_classes(self, classes: Sequence[object] | None) -> None:
        known: Any = self._target.statistics.get("classes", [])
        if classes is not None and {name_of(value) for value in classes} != set(known):
            raise ValueError(
                f"classes={list(classes)!r} are not those of the first call of partial_fit: {', '.join(known)}."
            )

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

    def evaluate_subsets(self, X: object, y: object = None) -> dict[str, Any]:
        """Metrics of every subset of the inputs, and with inputs hidden at random from 0 to 100 %.

        Args:
            X: as for `fit`.
            y: a column's name in X, or one value a row; without it, X holds the target under its name of training.

        Returns:
            JSON values. `metric`: the one to look at first. `subsets`: for each its `inputs`, its `metrics`, and
            `change`: of that one metric from what all inputs give. `hidden`: for each `rate` the `metrics`.
        """
        table = self._table(X)
        truth, _ = self._truth(table, y)
        return evaluate_subsets(self._fitted, table, truth, device=self.device or self._fitted.config.device)

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
        state = dict(super().__getstate__()) | {"_memory": None}  # rows of data stay where they are
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

    def _watch(self, phase: str, epochs: int, metric: str) -> list[Callback]:
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
        table = self._table(X)
        truth, rows = self._truth(table, y)
        return self._predict(table), truth, rows

    def _truth(self, table: Table, y: object) -> tuple[_Truth, _Rows]:
        target = self._target
        values = targets_of(table, y, name=target.column)
        truth = np.asarray(self._head.encode_target(values, target.statistics))
        if np.isnan(truth).all():
            raise DataError(f"{table.source}: no row has a target {target.name!r} that the model knows.")
        return truth, np.array([value is not None for value in values])


def _with_classes(task: Part, classes: Sequence[object]) -> Part:
    """The task with room for all of these classes.

    Raises:
        ValueError: it takes no classes.
    """
    if task.name != "classify":
        raise ValueError(f"classes are for the task 'classify'; this is {task.name!r}, which learns them from y.")
    return Part(name=task.name, **{**task.settings, "classes": [name_of(value) for value in classes]})
