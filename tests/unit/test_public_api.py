import inspect
from importlib import import_module

import pytest

import polymodal as pm

HOMES = {
    "Cells": "polymodal.types",
    "Classifier": "polymodal.estimators.estimators",
    "DataWarning": "polymodal.errors",
    "Estimator": "polymodal.estimators.estimators",
    "Generator": "polymodal.estimators.generator",
    "PolymodalError": "polymodal.errors",
    "Prediction": "polymodal.protocols",
    "Regressor": "polymodal.estimators.estimators",
    "RunConfig": "polymodal.config.run_config",
    "Table": "polymodal.data.tables.table",
    "Tokens": "polymodal.types",
    "compare": "polymodal.comparison.compare",
    "cross_validate": "polymodal.comparison.cross_validation",
    "inspect": "polymodal.pipeline.inspection",
    "load": "polymodal.estimators.estimators",
    "read_table": "polymodal.data.tables.table",
}


def test_the_public_names_are_these():
    assert pm.__all__ == sorted(HOMES)
    assert sorted(dir(pm)) == sorted([*HOMES, "__version__"])


@pytest.mark.parametrize(("name", "home"), HOMES.items())
def test_each_name_is_the_one_of_its_module(name, home):
    public = getattr(pm, name)
    assert public is getattr(import_module(home), name)
    assert public.__module__ == home
    assert len((inspect.getdoc(public) or "").splitlines()[0]) > 10


@pytest.mark.parametrize("name", ["Classifier", "Estimator", "Regressor"])
def test_the_estimators_offer_these_methods(name):
    own = {
        member: function
        for member, function in inspect.getmembers(getattr(pm, name))
        if not member.startswith("_") and getattr(function, "__module__", "polymodal").startswith("polymodal")
    }
    methods = {member for member, function in own.items() if inspect.isfunction(function)}
    own_methods = {"Classifier": {"partial_fit", "predict_proba"}, "Estimator": set(), "Regressor": {"partial_fit"}}[
        name
    ]
    requests = {f"set_{method}_request" for method in ("fit", "partial_fit", "predict", "score")}
    assert methods - requests == own_methods | {
        *("evaluate", "evaluate_subsets", "fit", "get_params", "predict", "report", "save", "score", "set_params")
    }
    assert all(inspect.getdoc(function) for function in own.values())


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Clasifier'"):
        pm.Clasifier
