"""In Python, messages name the parameters of an estimator, not the options of the command line."""

import datetime as dt
import warnings

import numpy as np
import pandas as pd
import pytest

import polymodal as pm
from polymodal.errors import ConfigError, DataError

ROWS = 60
RNG = np.random.default_rng(0)
KIND = ["a", "b"] * (ROWS // 2)
X = pd.DataFrame({"size": RNG.normal(size=ROWS)})


def told(table, **parameters):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pm.Classifier(epochs=1, **parameters).fit(table.assign(kind=KIND), "kind")
    sentences = [str(warning.message) for warning in caught]
    assert not any("--" in sentence for sentence in sentences)
    return " ".join(sentences)


def test_a_column_to_leave_out():
    assert "drop=['my leak']" in told(X.assign(**{"my leak": [f"{kind}!" for kind in KIND]}))


def test_a_setting():
    cells = ["1", "2", "x", "3 kg"] * (ROWS // 4)
    RNG.shuffle(cells)
    assert "**{'columns.num.modality': 'number'}" in told(X.assign(num=cells))


def test_a_split_column_works_as_it_is_told():
    table = X.assign(is_test=[int(row % 4 == 0) for row in range(ROWS)])
    assert "**{'split.column': 'is_test'}" in told(table)
    assert "is_test" not in told(table, **{"split.column": "is_test"})


def test_folds_work_as_they_are_told():
    table = X.assign(fold=[row % 5 for row in range(ROWS)])
    sentence = told(table)
    assert "**{'split.method': 'group', 'split.by': 'fold'}" in sentence
    assert "polymodal.cross_validate" in sentence
    assert "fold" not in told(table, **{"split.method": "group", "split.by": "fold"})


def test_errors_too():
    with pytest.raises(DataError, match="min_count") as caught:
        pm.Classifier(epochs=1, task="tag").fit(X, [[f"label {row}"] for row in range(ROWS)])
    assert "--set" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "there"),
    [({"group": "x"}, "split.by"), ({"split": "x"}, "split.column"), ({"random_state": 1}, "seed"),
     ({"learning_rate": 0.1}, "lr"), ({"test_size": 0.2}, "split.test")],
)  # fmt: skip
def test_parameters_of_other_names_are_told_what_they_are_here(parameters, there):
    with pytest.raises(ConfigError, match=there):
        pm.Classifier(**parameters)


@pytest.mark.parametrize("estimator", [pm.Classifier, pm.Regressor, pm.Estimator])
@pytest.mark.parametrize("kind", [pd.Timestamp, dt.date.fromisoformat])
def test_a_target_of_dates_is_told_as_people_write_it_with_what_to_do(estimator, kind):
    y = pd.Series([kind("2024-01-01"), kind("2024-02-01")] * (ROWS // 2), dtype=object)
    with pytest.raises(DataError, match=r"2024-01-01.*dt\.days"):
        estimator(epochs=1).fit(X, y)


def test_a_duration_is_told_as_people_write_it():
    y = pd.Series([dt.timedelta(days=1)] * ROWS)
    with pytest.raises(DataError, match="1 day"):
        pm.Classifier(epochs=1).fit(X, y)
    with pytest.raises(DataError, match=r"1 day.*no sample weight"):
        pm.Classifier(epochs=1).fit(X, KIND, sample_weight=y)


def test_a_duration_is_a_number_of_seconds():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = pm.Regressor(epochs=1).fit(X, pd.Series(pd.to_timedelta(range(ROWS), unit="h")))
    assert any("read in seconds" in str(warning.message) for warning in caught)
    assert found.predict(X).max() > 3600
