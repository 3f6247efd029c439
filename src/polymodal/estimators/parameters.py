"""The estimators' parameters: a few by name, and every path of the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from sklearn.base import BaseEstimator

from polymodal.config import run_config as configuration
from polymodal.config.paths import did_you_mean_path, with_quotes
from polymodal.config.run_config import ColumnConfig, RunConfig
from polymodal.errors import ConfigError, did_you_mean

_Self = TypeVar("_Self", bound="Parameters")  # typing.Self is beyond the checker that tests run under

_PATHS = {  # where the named ones stand in the configuration
    "columns": "columns",
    "drop": "drop",
    "preset": "preset",
    "fusion": "fusion",
    "stage": "stage",
    "epochs": "train.epochs",
    "lr": "train.optimizer.lr",
    "budget": "budget",
    "device": "device",
    "seed": "seed",
}
_NAMES = {path: name for name, path in _PATHS.items()} | {"fusion.name": "fusion", "stage.name": "stage"}

_SPLIT = "**{'split.column': COLUMN}"
_GROUP = "**{'split.method': 'group', 'split.by': COLUMN}"
_ELSEWHERE = {  # what the command line and other libraries call them
    "group": _GROUP,
    "groups": _GROUP,
    "split_column": _SPLIT,
    "test_size": "**{'split.test': SHARE}",
    "validation_fraction": "**{'split.validation': SHARE}",
    "random_state": "seed",
    "learning_rate": "lr",
    "max_epochs": "epochs",
    "max_iter": "epochs",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "sample_weight": "an argument of fit",
    "y": "an argument of fit",
}


class Parameters(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator's parameters and the configuration that they make.

    A parameter beyond the named ones is a path into the configuration. It lives in the instance's dictionary like any
    other, its name being the path, dots and all.
    """

    __signature__: ClassVar[Signature]
    _tasks: ClassVar[tuple[str, ...]]  # those that it does; none: whichever is named

    def __init__(  # noqa: PLR0913 - scikit-learn wants every parameter as an argument
        self,
        *,
        columns: Mapping[Any, object] | None = None,
        drop: Sequence[object] | None = None,
        preset: str | Sequence[str] | None = None,
        fusion: str | Mapping[str, object] | None = None,
        stage: str | Mapping[str, object] | None = None,
        predictors: object = None,
        epochs: int | None = None,
        lr: float | None = None,
        budget: str | float | None = None,
        device: str | None = None,
        seed: int | None = None,
        config: RunConfig | Mapping[str, object] | str | Path | None = None,
        verbose: bool = False,
        **settings: object,
    ) -> None:
        self.columns = columns
        self.drop = drop
        self.preset = preset
        self.fusion = fusion
        self.stage = stage
        self.predictors = predictors
        self.epochs = epochs
        self.lr = lr
        self.budget = budget
        self.device = device
        self.seed = seed
        self.config = config
        self.verbose = verbose
        self.set_params(**settings)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name: the named ones, and if `deep` every path of the configuration that was set."""
        return {**super().get_params(deep), **(self._settings() if deep else {})}

    def set_params(self: _Self, **params: object) -> _Self:
        """Sets parameters; any path of the configuration is one: `set_params(**{"train.batch_size": 8})`.

        Raises:
            ConfigError: no such parameter or path (with the nearest known one), or a wrong value for a path.
        """
        names = self._get_param_names()
        for given, value in params.items():
            name = _NAMES.get(given, given)  # one setting has one name, or the older value could win
            if name not in names:
                if not _is_path(name):
                    if (there := _ELSEWHERE.get(name)) is not None:
                        raise ConfigError(f"No parameter is called {name!r}; it is {there} here.")
                    known = sorted({*names, *RunConfig.model_fields})
                    near = did_you_mean_path(name, RunConfig) or did_you_mean(name, known)
                    raise ConfigError(f"No parameter is called {name!r}.{near} Known: {', '.join(known)}.")
                if (quoted := with_quotes(name, value, ColumnConfig)) is not None:
                    raise ConfigError(
                        f"No setting is called {name}. Put a column's name that has a dot into quotes: {quoted!r}"
                    )
                if name == "split" and isinstance(value, str):
                    raise ConfigError(f"split={value!r}: a column that says train and test is {_SPLIT} here.")
                values: dict[str, Any] = {}
                configuration.assign(values, name, value)
                configuration.make(values, source="parameters")
            setattr(self, name, value)
        return self

    def __sklearn_clone__(self: _Self) -> _Self:
        copied: _Self = super().__sklearn_clone__()
        return copied.set_params(**deepcopy(self._settings()))

    def _settings(self) -> dict[str, Any]:
        """The parameters that are paths into the configuration."""
        names = self._get_param_names()
        return {path: value for path, value in vars(self).items() if path not in names and _is_path(path)}

    def _estimators(self) -> dict[str, object]:
        """The estimators of scikit-learn that the stage is to use: by input, or by "" one for all."""
        if self.predictors is None:
            return {}
        return dict(self.predictors) if isinstance(self.predictors, Mapping) else {"": self.predictors}

    def _run_config(self) -> RunConfig:
        """What the parameters say: `config`, before it the named ones, before them the paths.

        No row is set aside for a test unless one of them says so.

        Raises:
            ConfigError: an unknown key or wrong value, or a task that is not this estimator's.
        """
        given = configuration.given(self.config, source="config")
        values = given.model_dump(mode="json", exclude_unset=True)
        named = {path: getattr(self, name) for name, path in _PATHS.items() if getattr(self, name) is not None}
        if isinstance(labels := named.get("columns"), Mapping):
            named["columns"] = {str(label): said for label, said in labels.items()}  # labels of pandas, too
        if isinstance(labels := named.get("drop"), list | tuple):
            named["drop"] = list(map(str, labels))
        configuration.assign_all(values, {**named, **self._settings()}.items())
        if "test" not in values.get("split", {}):
            configuration.assign(values, "split.test", 0.0)
        config = configuration.make(values, source=type(self).__name__)
        if self._tasks and config.task.name not in (None, *self._tasks):
            done = " and ".join(map(repr, self._tasks))
            raise ConfigError(f"{type(self).__name__}: task: it does {done}, not {config.task.name!r}.")
        return config


# Without `settings`: scikit-learn's checks would take that for the name of a parameter.
Parameters.__signature__ = Signature(
    [one for one in signature(Parameters).parameters.values() if one.kind is Parameter.KEYWORD_ONLY]
)


def _is_path(name: str) -> bool:
    return name.partition(".")[0] in RunConfig.model_fields
