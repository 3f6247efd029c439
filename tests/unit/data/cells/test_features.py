"""Cells that enter a model as handcrafted features."""

from __future__ import annotations

import numpy as np
import pytest

from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells.features import Featured
from polymodal.data.cells.prepare import fit_statistics, modality_of, prepare
from polymodal.data.tables.table import read_table
from polymodal.schema import Column

RNG = np.random.default_rng(0)
PICTURES = [None if row == 3 else RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8) for row in range(12)]
TABLE = {
    "photo": PICTURES,
    "size": [None if row == 3 else float(row) for row in range(12)],
    "note": [None if row == 3 else f"word {row} and word" for row in range(12)],
}
KINDS = {"photo": "image", "size": "number", "note": "text"}


def columns_and_stores(**statistics):
    columns = [Column(name=n, kind=k, modality=k, reason="", features={}, **statistics) for n, k in KINDS.items()]
    prepared = prepare(read_table(TABLE), columns, limits=LimitsConfig(), bad_cells="error")
    fitted = fit_statistics(columns, prepared, np.arange(10))
    return {column.name: column for column in fitted}, prepared.stores


@pytest.mark.parametrize("name", ["photo", "size"])
def test_dense_features_are_standardised_by_the_training_rows_and_rows_have_the_mean_square_one(name):
    columns, stores = columns_and_stores()
    modality = modality_of(columns[name])
    assert isinstance(modality, Featured)
    cells = modality.collate(stores[name].arrays(np.arange(10)))
    values = cells.values.double().numpy()[[row for row in range(10) if row != 3]]
    assert cells.values.shape[1] == modality.num_features
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.square(values).sum(axis=1).mean(), 1, rtol=1e-4)


@pytest.mark.parametrize("name", list(KINDS))
def test_a_missing_cell_is_zeros_and_absent(name):
    columns, stores = columns_and_stores()
    cells = modality_of(columns[name]).collate(stores[name].arrays(np.arange(12)))
    assert cells.present.tolist() == [row != 3 for row in range(12)]
    assert not cells.values[3].any()


def test_counts_of_words_are_as_the_modality_scales_them():
    columns, stores = columns_and_stores()
    modality = modality_of(columns["note"])
    arrays = stores["note"].arrays(np.array([0, 1]))
    assert columns["note"].features == {}
    expected = modality.handcrafted_features(arrays).toarray()
    np.testing.assert_array_equal(modality.collate(arrays).values.numpy(), expected.astype(np.float32))


def test_a_column_without_the_wish_enters_as_it_is():
    column = Column(name="size", kind="number", modality="number", reason="")
    assert column.features is None
    assert not isinstance(modality_of(column), Featured)
