"""One row, rows as dicts, labels that are no text, lazy tables: they work, or an error says how."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

import polymodal as pm
from polymodal.errors import ColumnError, ConfigError, TableError

ROWS = 40
RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=ROWS)
FRAME = pd.DataFrame(
    {"size": SIZE, "grade": RNG.integers(0, 3, ROWS), "kind": np.where(SIZE > 0, "large", "small")},
)
X = FRAME[["size", "grade"]]
QUICK = {"epochs": 1, "config": {"inputs": {"keep": "all"}, "train": {"final": "best"}}}


@pytest.fixture(scope="module")
def model():
    return pm.Classifier(**QUICK).fit(FRAME, y="kind")


@pytest.fixture(scope="module")
def expected(model):
    return model.predict_proba(FRAME)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(FRAME.iloc[5], id="row of a DataFrame"),
        pytest.param(X.iloc[5], id="row of numbers, which pandas makes floats"),
        pytest.param(FRAME.iloc[5].to_dict(), id="dict of cells"),
        pytest.param(pl.from_pandas(FRAME).row(5, named=True), id="row of polars"),
        pytest.param([FRAME.iloc[5].to_dict()], id="list of one dict"),
        pytest.param([FRAME.iloc[5]], id="list of rows"),
    ],
)
def test_one_row_is_predicted_as_in_its_table(model, expected, rows):
    np.testing.assert_allclose(model.predict_proba(rows), expected[5:6], atol=1e-6)


def test_rows_as_dicts_and_lazy_tables_are_tables(model, expected):
    for source in (FRAME.to_dict("records"), pl.from_pandas(FRAME).lazy()):
        np.testing.assert_array_equal(model.predict_proba(source), expected)
    by_dicts = pm.Classifier(**QUICK).fit(FRAME.to_dict("records"), y="kind")
    np.testing.assert_array_equal(by_dicts.predict_proba(FRAME), expected)
    assert pm.read_table([{"a": 1}, {"b": "x"}]).values("b") == [None, "x"]


def test_a_named_series_is_one_column():
    model = pm.Classifier(**QUICK).fit(FRAME["size"], FRAME["kind"])
    assert model.feature_names_in_.tolist() == ["size"]
    np.testing.assert_array_equal(model.predict(FRAME["size"]), model.predict(FRAME))
    assert pm.read_table(pl.Series("size", [1.5, 2.5])).values("size") == [1.5, 2.5]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (pd.Series([1.5, 2.5]), r"df\.iloc\[\[5\]\]"),
        (pl.Series([1.5, 2.5]), r"to_frame\('NAME'\)"),
        ({"size": [1.0, 2.0], "colour": "red"}, "'colour' holds one cell, 'size' a sequence"),
        ([{"size": 1.0}, 3], "row 1 is no dict but int"),
        (FRAME.groupby("kind"), "not a table. Give a path, a DataFrame"),
    ],
)
def test_what_is_no_table_says_what_would_be(source, words):
    with pytest.raises(TableError, match=words):
        pm.read_table(source)


def test_a_table_that_is_elsewhere_is_fetched_by_its_own_method():
    class Remote:
        def compute(self):
            return FRAME

    with pytest.raises(TableError, match=r"Call \.compute\(\) first"):
        pm.read_table(Remote())


def test_a_number_as_y_is_the_label_of_a_column():
    numbered = FRAME.set_axis([0, 1, 2], axis=1)
    model = pm.Classifier(drop=[1], **QUICK).fit(numbered, y=2)
    assert model.feature_names_in_.tolist() == ["0", "1"]
    assert [column.name for column in model.bundle_.schema.features()] == ["0"]
    assert model.evaluate(numbered, y=np.int64(2)) == model.evaluate(numbered)
    with pytest.raises(ColumnError, match=r"no column that is labelled 2\. The one at position 2 is called 'kind'"):
        pm.Classifier().fit(FRAME, y=2)
    with pytest.raises(ColumnError, match="y='x1'"):
        pm.Regressor().fit(X.to_numpy(), y=1)
    with pytest.raises(ColumnError, match=r"labelled 7\. Give the name"):
        pm.Classifier().fit(FRAME, y=7)


def test_the_target_may_be_named_in_a_list():
    assert pm.Classifier(**QUICK).fit(FRAME, y=["kind"]).bundle_.config.target == "kind"


def test_labels_of_a_multiindex_name_columns():
    levels = FRAME.set_axis(pd.MultiIndex.from_tuples([("in", "size"), ("in", "grade"), ("out", "kind")]), axis=1)
    columns = {("in", "grade"): {"modality": "category"}}
    model = pm.Classifier(columns=columns, **QUICK).fit(levels, y=("out", "kind"))
    assert model.bundle_.config.target == "('out', 'kind')"
    assert model.predict(levels.iloc[3]).tolist() == model.predict(levels)[3:4].tolist()
    assert model.evaluate(levels, y=("out", "kind")) == model.evaluate(levels)
    beside = pm.Classifier(columns=columns, **QUICK).fit(levels[["in"]], levels["out", "kind"])
    np.testing.assert_array_equal(beside.predict_proba(levels), model.predict_proba(levels))
    several = pd.DataFrame(np.c_[SIZE, SIZE + 1, RNG.normal(size=ROWS)])
    several.columns = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)])
    both = pm.Regressor(**QUICK).fit(several, y=[("a", 1), ("a", 2)])
    assert both.bundle_.config.target == ("('a', 1)", "('a', 2)")


def test_a_table_in_memory_finds_its_media_in_a_folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/note.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    table = pm.read_table(FRAME, folder="data")
    assert (table.folder / "note.txt").exists()
    assert pm.read_table(table, folder=tmp_path).folder == tmp_path
    assert pm.read_table(table).folder == table.folder
    with pytest.raises(TableError, match="no folder elsewhere"):
        pm.read_table(FRAME, folder="elsewhere")


def test_every_setting_is_an_argument():
    model = pm.Classifier(preset="fast", drop=["grade"], bad_cells="drop", **{"train.batch_size": 8, "train.epochs": 2})
    params = model.get_params()
    assert [params[key] for key in ("preset", "drop", "bad_cells", "train.batch_size", "epochs")] == [
        *("fast", ["grade"], "drop", 8, 2)
    ]
    assert clone(model).get_params() == params
    config = model.fit(FRAME, y="kind").bundle_.config
    assert (config.preset, config.drop, config.bad_cells) == ("fast", ("grade",), "drop")
    assert (config.train.batch_size, config.train.epochs) == (8, 2)
    with pytest.raises(ConfigError, match=r"No parameter is called 'epoch'.*Did you mean 'epochs'"):
        pm.Classifier(epoch=3)
    with pytest.raises(ConfigError, match=r"unknown key 'train\.bach_size'.*Did you mean 'batch_size'"):
        pm.Regressor(**{"train.bach_size": 8})
