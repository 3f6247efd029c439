"""Python is as loud as the command line: one warning for each thing that was done with the data."""

import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import polymodal as pm
from polymodal.errors import UsageError

ROWS = 40
RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=ROWS)
X = pd.DataFrame({"size": SIZE, "colour": RNG.choice(["red", "blue"], ROWS)})
KIND = pd.Series(np.where(SIZE + RNG.normal(size=ROWS) > 0, "large", "small"), name="kind")  # no column gives it away
QUICK = {"epochs": 1, "config": {"inputs": {"keep": "all"}, "train": {"final": "best"}}}
NUMBER = {"size": {"modality": "number"}}


def with_bad_cells(*rows):
    sizes = [f"bad {row}" if row in rows else f"{value:.3f}" for row, value in enumerate(SIZE)]
    return X.assign(size=sizes)


def quick(**params):
    return pm.Classifier(**{**QUICK, **params})


@pytest.fixture(scope="module")
def model():
    return quick(columns=NUMBER).fit(X, KIND)


def told(function):
    """The sentences of all `DataWarning`s, and the one of them all that is no `DataWarning`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    assert {warning.category for warning in caught} <= {pm.DataWarning}
    assert {warning.filename for warning in caught} <= {__file__}
    return [str(warning.message) for warning in caught]


def test_of_a_table_without_fault_nothing_is_said(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet = quick(columns=NUMBER).fit(X, KIND)
        quiet.predict(X), quiet.score(X, KIND), quiet.evaluate(X, KIND)
    assert quiet.warnings_ == ()


def test_cells_that_fit_cannot_read_are_told_once_with_row_and_reason():
    found = quick(columns=NUMBER)
    sentences = told(lambda: found.fit(with_bad_cells(3, 4, 7, 9), KIND))
    assert found.warnings_ == tuple(sentences)
    (sentence,) = sentences
    assert sentence.startswith(
        "size: 4 cells could not be read, counted as missing: row 3: not a number: 'bad 3'; row 4"
    )
    assert "bad 7" in sentence and "bad 9" not in sentence
    cells, rows = told(lambda: quick(columns=NUMBER, bad_cells="drop").fit(with_bad_cells(3), KIND))
    assert cells == "size: 1 cell could not be read, rows left out: row 3: not a number: 'bad 3'."
    assert rows == "Rows that are not learned from: 1 dropped for unreadable cells; learned from: 39."


def test_a_target_that_is_missing_is_told_apart_from_one_that_cannot_be_read():
    price = [f"{3 * value + 9:.2f}" for value in SIZE]
    price[4], price[11], price[12], price[20] = "", "n.d.", "n.d.", ""
    table = with_bad_cells(3).assign(price=price)
    found = pm.Regressor(**QUICK, columns=NUMBER)
    sentences = told(lambda: found.fit(table, y="price"))
    (target,) = [sentence for sentence in sentences if sentence.startswith("price: 2 cells")]
    assert "missing" not in target.partition("row")[0]
    (left,) = [sentence for sentence in sentences if sentence.startswith("Rows that are not learned from")]
    assert "2 without a target" in left and "2 with an unreadable target" in left
    measured = told(lambda: found.evaluate(table))
    assert any("2 without a target" in one and "2 with an unreadable target" in one for one in measured)


def test_columns_that_are_left_out_are_told_with_the_reason():
    table = X.assign(key=[f"a-{row}" for row in range(ROWS)], same="x", note=1.5 * SIZE)
    found = quick(columns=NUMBER, drop=["note"])
    (sentence,) = told(lambda: found.fit(table.assign(kind=KIND), y="kind"))
    assert "key (40 different values" in sentence and "same (every row holds x)" in sentence
    assert "note" not in sentence and "kind" not in sentence


def test_media_that_resolve_nowhere_are_told_with_what_to_do(tmp_path):
    for row in range(ROWS):
        Image.fromarray(RNG.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(tmp_path / f"{row}.png")
    table = X.assign(photo=[f"{row}.png" for row in range(ROWS)])
    (sentence,) = told(lambda: quick().fit(table, KIND))
    assert "photo (cells such as 0.png name no file in" in sentence and "read_table(..., folder=...)" in sentence
    found = quick(**{"encoders.image": {"name": "cnn", "width": 8, "channels": 4, "blocks": 1}})
    assert told(lambda: found.fit(pm.read_table(table, folder=tmp_path), KIND)) == []
    (sentence,) = told(lambda: found.predict(table))
    assert sentence.startswith("photo: none of its 40 cells could be read, so the predictions do without it: row 0 (")
    assert "read_table(..., folder=...)" in sentence


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "evaluate"])
def test_a_column_of_which_no_cell_can_be_read_is_told_whatever_is_asked(model, method):
    table = with_bad_cells(*range(ROWS)).assign(kind=KIND)
    (sentence,) = told(lambda: getattr(model, method)(table))
    assert sentence.startswith("size: none of its 40 cells could be read, so the predictions do without it: row 0")


def test_a_status_is_given_for_every_row(model):
    table = pd.concat([with_bad_cells(1, 3)[:4], pd.DataFrame({"size": [None], "colour": [None]})])
    with pytest.warns(pm.DataWarning, match="size: 2 cells could not be read, counted as missing: row 1"):
        predicted, status = model.predict(table, return_status=True)
    assert [word.partition(":")[0] for word in status] == ["ok", "partial", "ok", "partial", "prior"]
    assert status[3] == "partial: size unreadable (not a number: 'bad 3')"
    assert len(predicted) == 5
    regressor = pm.Regressor(**QUICK).fit(X, SIZE)
    predicted, status = regressor.predict(X[:3], return_status=True)
    assert (predicted.shape, status.tolist()) == ((3,), ["ok"] * 3)


def test_what_was_read_otherwise_than_it_stands_is_told(model):
    assert told(lambda: model.predict(X[:2].assign(colour=["red", "mauve"]))) == [
        "colour: 1 cell of a category unseen, or too rare, in training"
    ]


def test_rows_that_do_not_count_are_told(model):
    kinds = KIND.astype(object)
    kinds[:3] = None
    found = quick(columns=NUMBER)
    assert told(lambda: found.fit(X, kinds)) == [
        "Rows that are not learned from: 3 without a target; learned from: 37."
    ]
    kinds[3] = "giant"
    (sentence,) = told(lambda: model.evaluate(X, kinds))
    assert sentence == (
        "Rows that are not measured: 3 without a target, 1 of a class that training did not have; measured: 36."
    )


def test_score_says_which_rows_it_leaves_out_and_which_count_as_wrong(model):
    kinds = KIND.astype(object)
    kinds[:3], kinds[3:5] = None, "giant"
    left, wrong = told(lambda: model.score(X, kinds))
    assert "3 without a target" in left and "measured: 37" in left
    assert "2 of a class that training did not have" in wrong and "count as wrong" in wrong
    right = model.predict(X)[5:] == KIND[5:]
    with pytest.warns(pm.DataWarning):
        assert model.score(X, kinds) == pytest.approx(right.sum() / 37)
        assert model.evaluate(X, kinds)["accuracy"]["value"] == pytest.approx(right.mean())


def test_score_of_a_regressor_and_a_tagger_says_which_rows_it_leaves_out():
    sizes = SIZE.copy()
    sizes[:3] = np.nan
    regressor = pm.Regressor(**QUICK, columns=NUMBER).fit(X, SIZE * 2 + RNG.normal(size=ROWS))
    (left,) = told(lambda: regressor.score(X, sizes))
    assert "3 without a target" in left and "measured: 37" in left
    tags = [["a", "b"] if row % 3 else ["b"] for row in range(ROWS)]
    tagger = quick(columns=NUMBER).fit(X, tags)
    (left,) = told(lambda: tagger.score(X, [None, *tags[1:]]))
    assert "1 without a target" in left


def test_what_the_split_warns_of_is_kept_too():
    kinds = KIND.where(KIND.index > 0, "giant")
    found = quick(columns=NUMBER)
    sentences = told(lambda: found.fit(X, kinds))
    assert len(sentences) == len(set(sentences)) and tuple(sentences) == found.warnings_
    assert any("'giant'" in sentence for sentence in sentences)


def test_later_rows_are_as_loud_as_the_first():
    found = quick(columns=NUMBER, stage="intermediate").partial_fit(X, KIND)
    (sentence,) = told(lambda: found.partial_fit(with_bad_cells(5), KIND.where(KIND.index > 1, None)))
    assert sentence.startswith("size: 1 cell could not be read, counted as missing: row 5")


def test_whoever_wants_no_warnings_still_has_the_sentences():
    found = quick(columns=NUMBER)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", pm.DataWarning)
        found.fit(with_bad_cells(3), KIND)
    assert len(found.warnings_) == 1


def test_the_history_is_a_table():
    history = quick(epochs=3, columns=NUMBER).fit(X, KIND).history_
    table = history.to_pandas()
    assert table["epoch"].tolist() == [1, 2, 3]
    assert table["validation_accuracy"].tolist() == [record.validation["accuracy"] for record in history.epochs]
    assert {"loss", "metric", "seconds", "lr"} <= set(table)
    assert list(history.to_dict()) == list(table)


def test_a_report_is_written_of_what_fit_learned_from(model, tmp_path):
    found = quick(columns=NUMBER, config={**QUICK["config"], "split": {"test": 0.2}}).fit(X, KIND)
    found.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!") and "kind" in page and "colour" in page
    model.report(str(tmp_path / "without_test_rows.html"))
    assert (tmp_path / "without_test_rows.html").stat().st_size > 10_000
    found.save(tmp_path / "bundle")
    with pytest.raises(UsageError, match="call it after fit"):
        pm.load(tmp_path / "bundle").report(tmp_path / "again.html")
    with pytest.raises(UsageError, match="call it after fit"):
        found.partial_fit(X, KIND).report(tmp_path / "again.html")
    assert not (tmp_path / "again.html").exists()


def test_an_input_that_says_nothing_is_told_of_once():
    rng = np.random.default_rng(1)
    size = rng.normal(size=200)
    noise = [" ".join(rng.choice(["of", "to", "in", "at"], 12)) for _ in range(200)]  # a text is an input of its own
    table = pd.DataFrame({"size": size, "noise": noise, "kind": np.where(size > 0, "large", "small")})
    table.loc[::9, "kind"] = "small"
    found = pm.Classifier(epochs=1, config={"train": {"final": "best"}})
    sentences = told(lambda: found.fit(table, y="kind"))
    assert [sentence.partition(":")[0] for sentence in sentences if "noise" in sentence] == ["noise"]
