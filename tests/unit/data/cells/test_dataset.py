"""One way to batches: of which rows, which columns, and what stands in for columns that need not be read."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import Blob, FakeConfig, Figure

from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.dataset import Dataset
from polymodal.data.cells.prepare import prepare
from polymodal.data.cells.store import Store
from polymodal.data.tables.table import read_table
from polymodal.schema import Column
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.types import Tokens

ROWS = 6
COLUMNS = [Column(name=name, kind=name, modality=name, reason="") for name in ("blob", "number")]


@pytest.fixture
def dataset(fakes):
    blobs = [None if row == 3 else b"BLOB" + bytes([row]) * (row + 1) for row in range(ROWS)]
    table = read_table({"blob": blobs, "number": list(range(ROWS))})
    prepared = prepare(table, COLUMNS, limits=LimitsConfig(), bad_cells="error")
    modalities = {"blob": Blob(FakeConfig()), "number": Figure(FakeConfig())}
    values = torch.arange(ROWS, dtype=torch.float32).reshape(ROWS, 1, 1)
    tokens = Tokens(values, torch.ones(ROWS, 1, dtype=torch.bool))
    task = Regress(RegressConfig(), {"column": "y", "count": ROWS, "mean": 0.0, "std": 0.5})
    targets = Store.of([None if row == 2 else task.encode(row) for row in range(ROWS)])
    return Dataset(prepared, modalities, task, targets, encoded={"sound": tokens})


def test_all_rows_in_order_unless_some_are_named(dataset):
    assert len(dataset) == ROWS
    assert [batch.rows.tolist() for batch in dataset.loader(batch_size=4).epoch(0)] == [[0, 1, 2, 3], [4, 5]]
    (batch,) = dataset.loader(np.array([5, 1]), batch_size=4).epoch(0)
    assert batch.rows.tolist() == [5, 1]
    assert batch.target.values.tolist() == [[[10.0], [1.0]], [[2.0], [1.0]]] and batch.target.present.all()
    assert set(batch.cells) == {"blob", "number"} and batch.encoded == {} and batch.weight is None


def test_an_input_whose_tokens_are_known_is_not_collated(dataset):
    (batch,) = dataset.loader(batch_size=9, columns={"sound": ("blob",), "size": ("number",)}).epoch(0)
    assert set(batch.cells) == {"number"}
    assert torch.equal(batch.encoded["sound"].values.flatten(), torch.arange(ROWS, dtype=torch.float32))
    (batch,) = dataset.loader(batch_size=9, columns={"sound": ("blob",), "both": ("number", "blob")}).epoch(0)
    assert set(batch.cells) == {"number", "blob"} and set(batch.encoded) == {"sound"}
    (batch,) = dataset.loader(batch_size=9, columns={"size": ("number",)}).epoch(0)
    assert set(batch.cells) == {"number"} and batch.encoded == {}


def test_the_target_of_a_row_may_be_unknown(dataset):
    rows = np.array([3, 2])
    assert dataset.target(rows).present.tolist() == [True, False]
    assert dataset.known(rows).tolist() == [3]
    nobody_asks = replace(dataset, task=None, targets=None)
    assert nobody_asks.target(rows) is None and nobody_asks.known(rows).tolist() == [3, 2]
    assert next(nobody_asks.loader(rows, batch_size=2).epoch(0)).target is None


def test_which_rows_have_a_cell(dataset):
    rows = np.array([4, 3, 0])
    assert dataset.present(["blob"], rows).tolist() == [True, False, True]
    assert dataset.present(["blob", "number"], rows).all()
