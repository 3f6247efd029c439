"""One table of text, images, audio, numbers and categories in; one trained, evaluated, saved multimodal model out.

>>> import polymodal as pm
>>> model = pm.Classifier(epochs=3)  # then: model.fit(table, y="label"); model.predict(new_rows)

Names load when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polymodal.comparison.compare import compare
    from polymodal.comparison.cross_validation import cross_validate
    from polymodal.config.run_config import RunConfig
    from polymodal.data.audit.inspection import inspect
    from polymodal.data.tables.table import Table, read_table
    from polymodal.errors import PolymodalError
    from polymodal.estimators.estimators import Classifier, Estimator, Regressor, load
    from polymodal.protocols import Prediction
    from polymodal.types import Cells, Tokens

__version__ = "0.1.0"

_HOMES = {
    "Cells": "types",
    "Classifier": "estimators.estimators",
    "Estimator": "estimators.estimators",
    "PolymodalError": "errors",
    "Prediction": "protocols",
    "Regressor": "estimators.estimators",
    "RunConfig": "config.run_config",
    "Table": "data.tables.table",
    "Tokens": "types",
    "compare": "comparison.compare",
    "cross_validate": "comparison.cross_validation",
    "inspect": "data.audit.inspection",
    "load": "estimators.estimators",
    "read_table": "data.tables.table",
}

__all__ = [
    "Cells",
    "Classifier",
    "Estimator",
    "PolymodalError",
    "Prediction",
    "Regressor",
    "RunConfig",
    "Table",
    "Tokens",
    "compare",
    "cross_validate",
    "inspect",
    "load",
    "read_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'polymodal' has no attribute {name!r}")
    return getattr(import_module(f"polymodal.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
