"""New tables for a fitted model: what an absent column needs, and what is told once."""

import warnings

import numpy as np
import pandas as pd
import pytest

import polymodal as pm
from polymodal.errors import ColumnError

ROWS = 40
RNG = np.random.default_rng(0)
HOURS = RNG.integers(1, 9, ROWS)
X = pd.DataFrame(
    {
        "size": RNG.normal(size=ROWS),
        "colour": RNG.choice(["red", "blue"], ROWS),
        "stay": pd.to_timedelta(HOURS, unit="h"),
    }
)
KIND = pd.Series(np.where(HOURS + RNG.normal(size=ROWS) > 4, "large", "small"), name="kind")


def quick():
    return pm.Classifier(epochs=1, columns={"size": {"modality": "number"}}, inputs={"keep": "all"})


def told(function):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(warning.message) for warning in caught]


@pytest.fixture(scope="module")
def model():
    return quick().fit(X, KIND)


@pytest.mark.parametrize("name", ["SIZE", " size ", "Size", "siz"])
def test_an_absent_column_is_named_with_its_likely_name_and_what_would_do(model, name):
    with pytest.raises(ColumnError, match=f"'size', which the model uses. Did you mean {name!r}.*missing") as caught:
        model.predict(X.rename(columns={"size": name}))
    assert "df['size'] = None" in str(caught.value)


def test_all_absent_columns_are_named_and_columns_in_use_are_not_suggested(model):
    table = X[["stay"]].assign(Size=1.0)
    with pytest.raises(ColumnError, match="no column 'size', 'colour'") as caught:
        model.predict(table)
    assert "Did you mean 'Size'" in str(caught.value)


def test_an_empty_column_does(model):
    predicted, status = model.predict(X.assign(size=None), return_status=True)
    assert len(predicted) == ROWS and set(status) == {"ok"}


def test_how_a_column_is_read_is_told_once():
    found = quick()
    (sentence,) = told(lambda: found.fit(X, KIND))
    assert "stay: 40 cells of a duration, read in seconds" in sentence
    assert told(lambda: (found.predict(X), found.predict(X[:7]), found.score(X, KIND), found.evaluate(X, KIND))) == []


def test_what_is_wrong_with_a_table_is_told_once_of_each_table(model):
    bad = X.assign(size=["x", *X["size"][1:]], colour="mauve")
    sentences = told(lambda: (model.predict(bad), model.score(bad, KIND), model.predict_proba(bad)))
    assert [sentence.partition(":")[0] for sentence in sentences] == ["size", "colour"]
    assert told(lambda: model.predict(bad.copy())) == sentences
    bad.loc[1, "size"] = "y"
    (sentence,) = told(lambda: model.predict(bad.copy()))[:1]
    assert sentence.startswith("size: 2 cells")


def test_where_warnings_are_errors_nothing_counts_as_told():
    found, bad = quick().fit(X.drop(columns="stay"), KIND), X.assign(size=["x", *X["size"][1:]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(pm.DataWarning, match="size: 1 cell"):
                found.predict(bad)


def test_a_new_training_tells_again():
    found = quick()
    first = told(lambda: found.fit(X, KIND))
    assert told(lambda: found.fit(X, KIND)) == first


def test_a_class_that_is_a_number_is_known_however_a_table_writes_it():
    graded = quick().fit(X, pd.Series(np.where(KIND == "large", 2, 1), name="grade"))
    new, written = X.iloc[:4], pd.Series(["1.00", "2.0", "1", "one"], name="grade")
    sentences = told(lambda: graded.evaluate(new, written))
    assert any("measured: 3" in sentence for sentence in sentences)
    plain = graded.evaluate(new.iloc[:3], pd.Series([1, 2, 1], name="grade"))
    assert graded.evaluate(new, written)["accuracy"] == plain["accuracy"]
