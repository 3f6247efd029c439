import csv
import json
import re
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from polymodal.bundles.bundle import Bundle
from polymodal.config.run_config import make
from polymodal.data.cells import reading
from polymodal.data.cells.dataset import Dataset
from polymodal.data.cells.prepare import modality_of, prepare
from polymodal.data.tables.table import read_table
from polymodal.errors import ColumnError, DataError, UsageError
from polymodal.inference import predictor as module
from polymodal.inference.forward import finite_rows, predict_loader
from polymodal.inference.predictions import Predictions
from polymodal.inference.predictor import Predictor, predict
from polymodal.metrics.results import Results
from polymodal.modalities.text import Text, TextConfig
from polymodal.models.build import build
from polymodal.schema import Column, Input, Schema, Target
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tokenizers.subwords import Subwords
from polymodal.types import Scores

CPU = torch.device("cpu")
LABELS = ["cat", "dog", "dog", "owl"]
GREY, RED = np.full((8, 8, 3), 128, np.uint8), np.full((8, 8, 3), (255, 0, 0), np.uint8)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """An untrained model of a picture, a number and a category."""

    def column(name: str, modality: str, **values) -> Column:
        return Column(name=name, kind=modality, modality=modality, reason="said so", **values)

    def part(name: str, columns: tuple[str, ...], modality: str, encoder: str, **settings) -> Input:
        return Input(name=name, columns=columns, modality=modality, encoder=encoder, settings=settings)

    schema = Schema(
        columns=(
            column("photo", "image", settings={"size": 8}),
            column("size", "number", statistics={"centre": 1.0, "spread": 2.0}),
            column("colour", "category", statistics={"categories": ["red", "blue"]}),
            Column(name="id", kind="identifier", modality=None, reason="every cell differs"),
        ),
        inputs=(
            part("photo", ("photo",), "image", "cnn", width=8, channels=4, blocks=1),
            part("table", ("size", "colour"), "table", "mlp", width=8),
        ),
        target=Target(
            column="label", task="classify", statistics=Classify(ClassifyConfig()).fit(LABELS, column="label")
        ),
    )
    config = make({"fusion": {"name": "concat", "width": 8}})
    torch.manual_seed(0)
    return Bundle(model=build(schema, config), schema=schema, config=config, metrics=Results(), card="")


ROWS = {
    "photo": [GREY, RED, None, b"<html>", b"<html>", GREY, None, RED],
    "size": [1.0, None, 3.5, 4.0, None, "big", None, -2],
    "colour": ["red", "blue", "red", "green", None, "red", None, None],
}
HTML = "photo unreadable (not an image: looks like HTML)"
STATUS = [
    *("ok", "ok", "ok", f"partial: {HTML}", f"prior: no input present; {HTML}"),
    *("partial: size unreadable (not a number: 'big')", "prior: no input present", "ok"),
]


def scores(*args, **how) -> np.ndarray:
    return predict(*args, **how).prediction.values.numpy()


def only(row: int) -> dict[str, list]:
    return {name: [cells[row]] for name, cells in ROWS.items()}


@pytest.mark.parametrize(("chunk_rows", "batch_size"), [(512, 64), (3, 2), (1, 1)])
def test_every_row_gets_its_own_prediction_in_order(bundle, monkeypatch, chunk_rows, batch_size):
    monkeypatch.setattr(module, "_CHUNK_ROWS", chunk_rows)
    together = predict(bundle, ROWS, batch_size=batch_size)
    alone = np.concatenate([scores(bundle, only(row)) for row in range(8)])
    np.testing.assert_allclose(together.prediction.values, alone, atol=1e-5)
    assert len(together) == 8
    assert together.status == STATUS
    assert [(reject.row, reject.column) for reject in together.rejects] == [(3, "photo"), (4, "photo"), (5, "size")]
    different = np.unique(together.prediction.values.numpy().round(4), axis=0)
    assert len(different) == 7  # the two rows with the prior share theirs


def test_the_columns_are_the_decoded_scores(bundle):
    predictions = predict(bundle, ROWS)
    assert list(predictions.columns) == ["prediction", "p_cat", "p_dog", "p_owl"]
    shares = predictions.prediction.values.softmax(dim=1).numpy()
    for place, name in enumerate(("cat", "dog", "owl")):
        np.testing.assert_allclose(predictions.columns[f"p_{name}"], shares[:, place], atol=1e-6)
    assert predictions.columns["prediction"].tolist() == [("cat", "dog", "owl")[best] for best in shares.argmax(axis=1)]


def test_rows_with_nothing_present_get_the_prior(bundle):
    predictions = predict(bundle, ROWS)
    for row in (4, 6):
        assert [predictions.columns[f"p_{name}"][row] for name in ("cat", "dog", "owl")] == pytest.approx(
            [0.25, 0.5, 0.25]
        )


def test_columns_may_come_in_any_order_with_others_between(bundle):
    expected = scores(bundle, ROWS)
    other = {"label": LABELS * 2, **dict(reversed(ROWS.items())), "note": list("abcdefgh")}
    np.testing.assert_array_equal(scores(bundle, other), expected)


def test_an_absent_column_is_an_error_that_names_it(bundle):
    table = {("colours" if name == "colour" else name): cells for name, cells in ROWS.items()}
    with pytest.raises(ColumnError, match=r"no column 'colour'.* Did you mean 'colours'"):
        predict(bundle, table)


def test_no_row_is_ever_dropped(bundle):
    assert predict(bundle, ROWS, bad_cells="drop").status == STATUS


@pytest.mark.parametrize("chunk_rows", [512, 3, 1])
def test_an_unseen_category_is_told_once_with_its_count(bundle, monkeypatch, chunk_rows):
    monkeypatch.setattr(module, "_CHUNK_ROWS", chunk_rows)
    told = []
    predict(bundle, {**ROWS, "colour": ["pink", *ROWS["colour"][1:]]}, on_message=told.append)
    assert told == ["colour: 2 cells of a category unseen, or too rare, in training"]


def test_the_policy_error_stops_at_an_unreadable_cell(bundle, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_ROWS", 2)
    with pytest.raises(DataError, match=r"row 3, column 'photo': not an image: looks like HTML"):
        predict(bundle, ROWS, bad_cells="error")


def test_a_model_left_in_training_predicts_without_dropout(bundle):
    expected = scores(bundle, ROWS)
    bundle.model.train()
    np.testing.assert_array_equal(scores(bundle, ROWS), expected)


def test_predictions_come_in_the_order_of_the_loader_as_float32(bundle):
    columns = bundle.schema.features()
    prepared = prepare(read_table(ROWS), columns, limits=bundle.config.limits, bad_cells="missing")
    rows = np.array([7, 0, 2])
    loader = Dataset(prepared, {column.name: modality_of(column) for column in columns}).loader(rows, batch_size=2)
    found = predict_loader(bundle.model, loader, CPU)
    assert found.values.dtype == torch.float32 and found.present.all()
    np.testing.assert_allclose(found.values, scores(bundle, ROWS)[rows], atol=1e-5)


def test_a_row_with_a_number_that_is_not_finite_is_found():
    values = torch.zeros(4, 2)
    values[1, 0], values[3, 1] = torch.nan, torch.inf
    assert finite_rows(Scores(values, torch.ones(4, dtype=torch.bool))).tolist() == [True, False, True, False]


@pytest.fixture
def with_text() -> Bundle:
    """An untrained model of a text, cut into subwords that were learned, and a number."""
    text = Text(TextConfig())
    learned = text.fit([text.read(words) for words in ("good", "bad", "good and bad")])
    schema = Schema(
        columns=(
            Column(name="note", kind="text", modality="text", reason="said so", statistics=learned),
            Column(
                name="size", kind="number", modality="number", reason="said so",
                statistics={"centre": 1.0, "spread": 2.0},
            ),
        ),
        inputs=(
            Input(name="note", columns=("note",), modality="text", encoder="bag", settings={"width": 8}),
            Input(name="table", columns=("size",), modality="table", encoder="mlp", settings={"width": 8}),
        ),
        target=Target(
            column="label", task="classify", statistics=Classify(ClassifyConfig()).fit(LABELS, column="label")
        ),
    )  # fmt: skip
    config = make({"fusion": {"name": "concat", "width": 8}})
    torch.manual_seed(0)
    return Bundle(model=build(schema, config), schema=schema, config=config, metrics=Results(), card="")


def test_a_predictor_builds_modalities_and_tokenizers_once_over_several_calls(with_text, monkeypatch):
    counts = Counter()
    build_settings, made = reading._settings, Subwords.__init__

    def watched_settings(column):
        counts["modality", column.name] += 1
        return build_settings(column)

    def watched_tokenizer(self, *args, **how):
        counts["tokenizer"] += 1
        made(self, *args, **how)

    monkeypatch.setattr(reading, "_settings", watched_settings)
    monkeypatch.setattr(Subwords, "__init__", watched_tokenizer)
    monkeypatch.setattr(module, "_CHUNK_ROWS", 2)
    predictor = Predictor(with_text, "cpu")
    rows = {"note": ["good", None, "bad", "good"], "size": [1.0, 2.0, None, 4.0]}
    first = predictor(rows).prediction.values
    once = Counter({("modality", "note"): 1, ("modality", "size"): 1, "tokenizer": 1})
    assert counts == once
    second = predictor({name: cells[2:] for name, cells in rows.items()}).prediction.values
    torch.testing.assert_close(second, first[2:])
    assert counts == once
    predict(with_text, rows)
    assert counts == once + once  # what counts does count


def some_predictions(**changes) -> Predictions:
    columns = {
        "prediction": np.array(["cat", "=1+1", 'naïve, "q"\n'], dtype=object),
        "p_cat": np.array([0.75, -0.5, np.nan]),
        "p_=x": np.array([1, -2, 3]),
    }
    values = {"columns": columns, "status": ["ok", "partial: x", "ok"], "rejects": ()}
    values["prediction"] = Scores(torch.zeros(3, 2), torch.ones(3, dtype=torch.bool))
    return Predictions(**{**values, **changes})


NAMES = ["prediction", "p_cat", "p_=x", "status"]
RECORDS = [("cat", 0.75, 1, "ok"), ("=1+1", -0.5, -2, "partial: x"), ('naïve, "q"\n', None, 3, "ok")]


def test_json_lines(tmp_path):
    for name in ("out.jsonl", "out.NDJSON"):
        some_predictions().write(tmp_path / name)
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "NaN" not in text
        assert [json.loads(line) for line in text.splitlines()] == [
            dict(zip(NAMES, row, strict=True)) for row in RECORDS
        ]


def test_parquet(tmp_path):
    some_predictions().write(tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.to_pylist() == [dict(zip(NAMES, row, strict=True)) for row in RECORDS]
    assert [str(kind) for kind in table.schema.types] == ["string", "double", "int64", "string"]


def test_csv(tmp_path):
    some_predictions().write(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            NAMES,
            ["cat", "0.75", "1", "ok"],
            ["'=1+1", "-0.5", "-2", "partial: x"],
            ['naïve, "q"\n', "", "3", "ok"],
        ]


def test_half_of_a_surrogate_pair_is_written_as_its_escape(tmp_path):
    columns = {"prediction": np.array(["a\ud800", "é"], dtype=object), "p_a\ud800": np.array([0.5, 0.25])}
    predictions = some_predictions(columns=columns, status=["ok", "partial: \udcff.png"])
    for ending in ("csv", "parquet", "jsonl"):
        predictions.write(tmp_path / f"out.{ending}")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1:] == [["a\\ud800", "0.5", "ok"], ["é", "0.25", "partial: \\udcff.png"]]
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["prediction", "p_a\\ud800", "status"]
    assert table["prediction"].to_pylist() == ["a\\ud800", "é"]
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {"prediction": "a\ud800", "p_a\ud800": 0.5, "status": "ok"}


def test_formulas_in_csv_are_neutralised_and_can_be_had_back(tmp_path):
    dangerous = ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''@x"]
    harmless = ["a=b", "'quoted'", "", "'", "x-1", " =1"]
    words = np.array(dangerous + harmless, dtype=object)
    predictions = some_predictions(columns={"prediction": words}, status=["ok"] * len(words))
    predictions.write(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        written = [row["prediction"] for row in csv.DictReader(file)]
    assert all(word.startswith("'") for word in written[: len(dangerous)])
    assert written[len(dangerous) :] == harmless
    assert [re.sub(r"^'(?='*[=+\-@\t\r])", "", word) for word in written] == words.tolist()


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.cvs"])
def test_an_unknown_ending_is_an_error(tmp_path, name):
    with pytest.raises(UsageError, match=r"Known: \.csv, \.parquet, \.jsonl, \.ndjson"):
        some_predictions().write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_a_place_that_cannot_be_written_is_an_error(tmp_path, ending):
    path = tmp_path / "absent" / f"out.{ending}"
    with pytest.raises(UsageError, match=f"Cannot write predictions to {re.escape(str(path))}: No such file"):
        some_predictions().write(path)
