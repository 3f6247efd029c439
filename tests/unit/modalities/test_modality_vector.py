from __future__ import annotations

import json
import tracemalloc

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.preprocessing import StandardScaler

from polymodal.codecs.recognition import count_sounds
from polymodal.config.run_config import LimitsConfig, RunConfig
from polymodal.data.audit.inspection import inspect_table
from polymodal.data.cells.prepare import prepare
from polymodal.data.tables.table import read_table
from polymodal.errors import UnreadableCellError
from polymodal.modalities.audio import Audio
from polymodal.modalities.image import Image
from polymodal.modalities.vector import Vector, VectorConfig
from polymodal.protocols import Sample
from polymodal.schema import Column

RNG = np.random.default_rng(0)


def sample(values):
    return Sample(values, [None] * len(values), len(values), len(values))


def fitted(rows, **settings):
    config = VectorConfig(**settings)
    statistics = Vector(config).fit(Vector(config).read(row) for row in rows)
    return Vector(config, json.loads(json.dumps(statistics)))


@pytest.mark.parametrize(
    "cell",
    [[1, 2.5, -3], (1, 2.5, -3), np.array([1, 2.5, -3]), np.array([1, 2.5, -3], np.float16), "[1, 2.5, -3]",
     " [1.0, 25e-1, -3]\n", [np.int64(1), np.float32(2.5), -3]],
)  # fmt: skip
def test_what_is_read(cell):
    array = Vector(VectorConfig(length=3)).read(cell)
    assert array.dtype == np.float32
    assert array.tolist() == [1, 2.5, -3]


@pytest.mark.parametrize("length", [2, 4])
def test_wrong_length_becomes_reject_naming_both(length):
    with pytest.raises(UnreadableCellError, match=f"{length} elements, but the vectors of this column have 3"):
        Vector(VectorConfig(length=3)).read([0.5] * length)


def test_only_the_cell_of_another_length_is_lost():
    table = read_table({"v": [[1.0, 2.0], [3.0, 4.0], [5.0], [7.0, 8.0]]})
    settings = Vector.suggest(table.values("v"), LimitsConfig())
    column = Column(name="v", kind="vector", modality="vector", reason="", settings=settings)
    prepared = prepare(table, [column], limits=LimitsConfig(), bad_cells="missing")
    assert [(reject.row, reject.reason) for reject in prepared.rejects] == [
        (2, "1 elements, but the vectors of this column have 2")
    ]
    assert prepared.stores["v"].present.tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    "cell", [[1, np.nan], [np.inf, 0], [0, None], [1e31, 0], "[1, NaN]", "[-Infinity, 1]", "[1e999, 1]", [10**400, 0]]
)
def test_elements_that_are_not_finite_become_rejects(cell):
    with pytest.raises(UnreadableCellError, match="element"):
        Vector(VectorConfig()).read(cell)


@pytest.mark.parametrize(
    "cell",
    [["a", "b"], "a, b", "[1, 2", '["1", "2"]', "[[1], [2]]", "7", "{}", [True, False], np.zeros((2, 2)),
     np.array(["a"]), [], "[]", np.zeros(0), None, 5, b"[1, 2]", {"a": 1}, np.array([1 + 2j]),
     "[" * 100_000 + "]" * 100_000],
)  # fmt: skip
def test_the_rest_becomes_reject(cell):
    with pytest.raises(UnreadableCellError, match="vector") as caught:
        Vector(VectorConfig()).read(cell)
    assert len(str(caught.value)) < 100


def test_standardised_as_scikit_learn_does():
    train, other = RNG.gamma(2, 50, (40, 6)), RNG.normal(0, 100, (9, 6))
    column = fitted(train)
    theirs = StandardScaler().fit(train.astype(np.float32).astype(float)).transform(other)
    ours = column.collate([column.read(row) for row in other]).values
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        column.handcrafted_features([column.read(row) for row in other]), theirs, rtol=1e-4, atol=1e-5
    )


def test_constant_elements_keep_differences():
    column = fitted([[0.1, 1.0], [0.1, 3.0]])
    np.testing.assert_allclose(column.collate([column.read([1.1, 2.0])]).values, [[1, 0]], atol=1e-6)


def test_the_rounding_of_a_constant_is_no_spread():
    column = fitted([[1_000.0, 0], [np.nextafter(np.float32(1_000), np.float32(2_000)), 1]])
    np.testing.assert_allclose(column.collate([column.read([1_001, 1])]).values, [[1, 1]], atol=1e-3)


@pytest.mark.parametrize("rows", [[], [[5.0, 5.0]], [[1e30, -1e30], [-1e30, 1e30]], [[1e-40, 0], [0, 1e-40]]])
@pytest.mark.parametrize("standardise", [True, False])
def test_any_training_column_gives_finite_values(rows, standardise):
    column = fitted(rows, length=2, standardise=standardise)
    arrays = [column.read(row) for row in ([1e30, -1e30], [0, 0], [1e-40, 1])]
    cells = column.collate([*arrays, None])
    assert cells.values.isfinite().all()
    assert cells.lengths.tolist() == [1, 1, 1, 0]
    assert np.isfinite(column.handcrafted_features(arrays)).all()


def test_missing_cells_are_zero_and_nan():
    column = fitted([[1.0, 2.0], [3.0, 6.0]])
    assert column.collate([None, column.read([3, 6])]).values.tolist() == [[0, 0], [1, 1]]
    assert np.isnan(column.handcrafted_features([None])).all()


def test_length_is_that_of_most_cells():
    assert Vector.suggest([[1, 2], "[1, 2, 3]", [4, 5], "x"], LimitsConfig()) == {"length": 2}
    assert Vector.suggest(["x"], LimitsConfig()) == {}


def test_wide_vectors_cost_memory_by_their_length_alone():
    width, rows = 20_000, 300
    base = RNG.normal(size=width).astype(np.float32)
    config = VectorConfig(length=width)
    tracemalloc.start()
    statistics = Vector(config).fit(Vector(config).read(base * row) for row in range(rows))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * width * 8  # all rows at once would be 300
    assert len(json.dumps(statistics)) < 40 * width
    column = Vector(config, statistics)
    assert column.handcrafted_features([base]).shape == (1, 2_000)
    np.testing.assert_allclose(column.collate([base * 150]).values.abs().max(), 0.5 / np.arange(rows).std(), rtol=1e-3)


def test_simple_features_of_wide_vectors_are_those_that_vary_most():
    rows = RNG.normal(size=(20, 3_000))
    rows[:, :1_000] *= 0.01
    column = fitted(rows)
    features = column.handcrafted_features([column.read(row) for row in rows])
    np.testing.assert_allclose(features, StandardScaler().fit_transform(rows)[:, 1_000:], atol=1e-3)


# --- recognition -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [["[0.1, 0.2]", "[1, 2]"], [[1.0, 2.0], [3, 4]], [np.zeros(3), np.ones(3)], list(RNG.uniform(-1, 1, (20, 768))),
     list(RNG.normal(size=(20, 1_024)).astype(np.float32)), list(RNG.poisson(3, (8, 2_000)).astype(np.int16)),
     list(RNG.integers(0, 9, (5, 3)))],
)  # fmt: skip
def test_recognises_vectors_and_nobody_else_does(values):
    found = Vector.recognise(sample(values))
    assert found is not None
    assert found.confidence > 0.95
    assert Audio.recognise(sample(values)) is None
    assert Image.recognise(sample(values)) is None


def test_one_cell_of_another_length_changes_nothing():
    values = [*RNG.uniform(-1, 1, (20, 768)), np.zeros(500)]
    assert Vector.recognise(sample(values)).confidence > 0.95
    assert Audio.recognise(sample(values)) is None


@pytest.mark.parametrize(
    "values",
    [[["a", "b"], ["c", "d"]], ["a", "b"], [1.0, 2.0], [np.zeros((4, 4))], [[1.0], [2.0]], ['["a", "b"]'], [],
     [[1.0, 2.0], "x", "y"], [np.sin(np.arange(500 + n) / 9) for n in range(5)], ["[]", "[]"],
     [np.sin(np.arange(16_000) / 9 + n) + 0.1 * RNG.normal(size=16_000) for n in range(5)],
     [np.zeros(n, np.int16) for n in (500, 900)]],
)  # fmt: skip
def test_leaves_other_columns_alone(values):
    assert Vector.recognise(sample(values)) is None


def test_sounds_are_told_from_vectors():
    clips = [np.sin(np.arange(8_000) / (5 + n)) for n in range(4)]
    assert count_sounds(clips) == 4
    assert count_sounds([np.stack([clip, clip], axis=1) for clip in clips]) == 4
    assert count_sounds([clip * 5 for clip in clips]) == 0
    assert count_sounds(list(RNG.uniform(-1, 1, (4, 8_000)))) == 0
    assert count_sounds([RNG.uniform(-1, 1, 500 + n) for n in range(4)]) == 4


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 4), pa.large_list(pa.float16())])
def test_lists_of_arrow_come_through_parquet(tmp_path, kind):
    rows = RNG.normal(size=(30, 4)).astype(np.float16)
    column = pa.array([None, *rows.tolist()], type=kind)
    pq.write_table(pa.table({"v": column, "n": [float(n) ** 1.5 for n in range(31)]}), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet").take(np.arange(31)[::-1])
    assert table.values("v")[-1] is None
    np.testing.assert_array_equal(np.stack(table.values("v")[:-1]), rows[::-1])
    assert inspect_table(tmp_path / "t.parquet", config=RunConfig()).columns[0].column.kind == "vector"


def test_lists_with_gaps_are_told_not_filled():
    table = read_table({"a": pa.array([[1.0, None], [1.0, 2.0]]), "b": pa.array([[1, None], [1, 2]])})
    for name in ("a", "b"):
        first, second = table.values(name)
        with pytest.raises(UnreadableCellError, match="element 1 is nan"):
            Vector(VectorConfig()).read(first)
        assert Vector(VectorConfig()).read(second).tolist() == [1, 2]


def test_polars_arrays_are_vectors():
    frame = pl.DataFrame({"v": RNG.normal(size=(20, 5)), "n": RNG.normal(size=20)})
    assert inspect_table(frame).columns[0].column.kind == "vector"


def test_preview_says_how_long_it_is():
    assert "[1, 2.5]" in Vector(VectorConfig()).preview([1, 2.5])
    assert "(20,000 numbers)" in Vector(VectorConfig()).preview(np.zeros(20_000))
