"""One table of text, images, audio, numbers and categories in; one trained, evaluated, saved multimodal model out.

>>> import polymodal as pm
>>> model = pm.Classifier(epochs=3)  # then: model.fit(table, y="label"); model.predict(new_rows)

Names load when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polymodal.comparison.compare import compare as compare
    from polymodal.comparison.cross_validation import cross_validate as cross_validate
    from polymodal.config.run_config import RunConfig as RunConfig
    from polymodal.data.tables.table import Table as Table
    from polymodal.data.tables.table import read_table as read_table
    from polymodal.errors import DataWarning as DataWarning
    from polymodal.errors import PolymodalError as PolymodalError
    from polymodal.estimators.estimators import Classifier as Classifier
    from polymodal.estimators.estimators import Estimator as Estimator
    from polymodal.estimators.estimators import Regressor as Regressor
    from polymodal.estimators.estimators import load as load
    from polymodal.estimators.generator import Generator as Generator
    from polymodal.pipeline.inspection import inspect as inspect
    from polymodal.protocols import Prediction as Prediction
    from polymodal.types import Cells as Cells
    from polymodal.types import Tokens as Tokens

__version__ = "0.1.0"

_HOMES = {
    "Cells": "types",
    "Classifier": "estimators.estimators",
    "DataWarning": "errors",
    "Estimator": "estimators.estimators",
    "Generator": "estimators.generator",
    "PolymodalError": "errors",
    "Prediction": "protocols",
    "Regressor": "estimators.estimators",
    "RunConfig": "config.run_config",
    "Table": "data.tables.table",
    "Tokens": "types",
    "compare": "comparison.compare",
    "cross_validate": "comparison.cross_validation",
    "inspect": "pipeline.inspection",
    "load": "estimators.estimators",
    "read_table": "data.tables.table",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'polymodal' has no attribute {name!r}")
    return getattr(import_module(f"polymodal.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
