"""Every row once an epoch, in an order and with variations that depend on seed, epoch and row alone."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from fakes import Blob, FakeConfig, Figure

from polymodal.data.cells.dataset import Dataset, Loader
from polymodal.data.cells.prepare import Prepared, prepare
from polymodal.data.cells.store import ContentsWriter, Store
from polymodal.data.tables.table import read_table
from polymodal.schema import Column
from polymodal.types import Cells, Tokens

ROWS = 10
COLUMNS = [
    Column(name="blob", kind="blob", modality="blob", reason=""),
    Column(name="number", kind="number", modality="number", reason=""),
]


@pytest.fixture
def prepared(fakes):
    from polymodal.config.run_config import LimitsConfig

    blobs = [None if row == 3 else b"BLOB" + bytes([row]) * (row + 1) for row in range(ROWS)]
    table = read_table({"blob": blobs, "number": list(range(ROWS))})
    return prepare(table, COLUMNS, limits=LimitsConfig(), bad_cells="error")


@dataclass(frozen=True)
class Targeted(Dataset):
    """Its target is a function of the numbers of rows, or absent."""

    given: Callable | None = None

    def target(self, rows):
        return None if self.given is None else self.given(rows)


@pytest.fixture
def loader(prepared):
    def make(rows=range(ROWS), *, names=("blob", "number"), target=None, weight=None, encoded=None, **settings):
        modalities = {"blob": Blob(FakeConfig()), "number": Figure(FakeConfig())}
        dataset = Targeted(prepared, modalities, weight=weight, encoded=encoded or {}, given=target)
        columns = {name: [name] for name in (*names, *dataset.encoded)}
        rows = np.array(rows, dtype=np.int64)
        return dataset.loader(rows, columns=columns, **{"batch_size": 4, **settings})

    return make


def targets(values):
    """By row numbers, the number of each row."""
    return lambda rows: Cells(torch.as_tensor(values[rows])[:, None], torch.ones(len(rows), dtype=torch.long))


def rows_of(loader, epoch=0):
    return [batch.rows.tolist() for batch in loader.epoch(epoch)]


class TestOrder:
    def test_given_order_and_small_last_batch(self, loader):
        made = loader([9, 0, 8, 1, 7, 2])
        assert rows_of(made) == [[9, 0, 8, 1], [7, 2]]
        assert len(made) == 2

    def test_shuffled_by_seed_and_epoch(self, loader):
        one = [rows_of(loader(shuffle=True), epoch) for epoch in range(3)]
        assert one == [rows_of(loader(shuffle=True), epoch) for epoch in range(3)]
        assert one[0] != one[1] != one[2]
        assert one[0] != rows_of(loader(shuffle=True, seed=1))
        assert all(sorted(row for rows in batches for row in rows) == list(range(ROWS)) for batches in one)

    @pytest.mark.parametrize(
        ("rows", "shuffle", "size", "lengths"),
        [
            (9, True, 4, [4, 5]),
            (10, True, 4, [4, 4, 2]),
            (9, False, 4, [4, 4, 1]),
            (8, True, 4, [4, 4]),
            (1, True, 4, [1]),
            (3, True, 1, [1, 1, 1]),
            (0, True, 4, []),
        ],
    )
    def test_lengths(self, loader, rows, shuffle, size, lengths):
        made = loader(range(rows), shuffle=shuffle, batch_size=size)
        assert sorted(len(batch) for batch in made.epoch(0)) == sorted(lengths)
        assert len(made) == len(lengths)


class TestContent:
    def test_cells_belong_to_their_rows(self, loader):
        for batch in loader(shuffle=True).epoch(0):
            for place, row in enumerate(batch.rows.tolist()):
                length = 0 if row == 3 else row + 1
                assert batch.cells["blob"].lengths[place] == length
                assert (batch.cells["blob"].values[place, :length] == row).all()
                assert batch.cells["number"].values[place, 0] == row

    @pytest.mark.parametrize("dtype", [np.int64, np.float32])
    def test_target_as_given_and_weight_float32(self, loader, dtype):
        target, weight = np.arange(ROWS).astype(dtype) * 2, np.arange(ROWS) / 10
        for batch in loader(shuffle=True, target=targets(target), weight=weight).epoch(0):
            assert batch.target.values.dtype == torch.as_tensor(target).dtype
            assert batch.target.values[:, 0].tolist() == [2 * row for row in batch.rows.tolist()]
            assert batch.target.present.all()
            assert batch.weight.dtype == torch.float32
            np.testing.assert_allclose(batch.weight, batch.rows / 10)

    def test_without_target_and_weight(self, loader):
        batch = next(loader().epoch(0))
        assert batch.target is None and batch.weight is None and batch.encoded == {}

    def test_encoded_tokens_replace_columns(self, loader):
        values = torch.arange(ROWS * 6, dtype=torch.float32).reshape(ROWS, 2, 3)
        tokens = Tokens(values, torch.arange(2) < torch.arange(ROWS)[:, None])
        for batch in loader(names=("number",), encoded={"blob": tokens}, shuffle=True).epoch(0):
            assert list(batch.cells) == ["number"]
            assert torch.equal(batch.encoded["blob"].values, values[batch.rows])
            assert torch.equal(batch.encoded["blob"].mask, tokens.mask[batch.rows])


class TestAugmentation:
    def cells(self, loader, epoch=0):
        found = {}
        for batch in loader.epoch(epoch):
            for place, row in enumerate(batch.rows.tolist()):
                cells = batch.cells["blob"]
                found[row] = cells.values[place, : cells.lengths[place]].tolist()
        return found

    def test_depends_on_seed_epoch_and_row_not_on_the_batch(self, loader):
        augmented = self.cells(loader(augment=True))
        assert augmented == self.cells(loader(augment=True, shuffle=True, batch_size=3))
        assert augmented == self.cells(loader(augment=True, rows=range(ROWS)[::-1]))
        for other in (self.cells(loader(augment=True), 1), self.cells(loader(augment=True, seed=1))):
            assert all(augmented[row] != other[row] for row in range(ROWS) if row != 3)

    def test_columns_vary_apart(self, prepared):
        prepared.stores["twin"] = prepared.stores["blob"]
        modalities = {"blob": Blob(FakeConfig()), "twin": Blob(FakeConfig())}
        (batch,) = Dataset(prepared, modalities).loader(batch_size=ROWS, augment=True).epoch(0)
        assert not torch.equal(batch.cells["blob"].values, batch.cells["twin"].values)

    def test_missing_cells_stay_missing_and_none_without_augment(self, loader):
        assert self.cells(loader(augment=True))[3] == []
        assert self.cells(loader()) == {row: [] if row == 3 else [row] * (row + 1) for row in range(ROWS)}


class TestShards:
    """Loaders on several processes share each batch of the one that there would be on a single process."""

    @pytest.mark.parametrize("count", [2, 3])
    @pytest.mark.parametrize("shuffle", [False, True])
    def test_their_parts_together_are_the_epoch_of_one(self, loader, count, shuffle):
        target = np.arange(ROWS, dtype=np.float32)
        settings = {"shuffle": shuffle, "augment": True, "target": targets(target)}
        parts = [loader(shard=(index, count), **settings) for index in range(count)]
        for epoch in range(3):
            whole = list(loader(**settings).epoch(epoch))
            shards = [list(part.epoch(epoch)) for part in parts]
            assert {len(part) for part in parts} == {len(shard) for shard in shards} == {len(whole)}
            for place, batch in enumerate(whole):
                places = {row: at for at, row in enumerate(batch.rows.tolist())}
                seen = []
                for index, shard in enumerate(shards):
                    mine = shard[place]
                    assert mine.rows.tolist() == batch.rows[index::count].tolist()
                    assert mine.target.values[:, 0].tolist() == mine.rows.tolist()
                    for at, row in enumerate(mine.rows.tolist()):
                        length = int(mine.cells["blob"].lengths[at])
                        assert length == batch.cells["blob"].lengths[places[row]]
                        assert torch.equal(
                            mine.cells["blob"].values[at, :length], batch.cells["blob"].values[places[row], :length]
                        )
                    seen += mine.rows.tolist()
                assert sorted(seen) == sorted(batch.rows.tolist())

    def test_a_batch_of_fewer_rows_than_shards_leaves_empty_parts(self, loader):
        parts = [list(loader([4, 2, 7], batch_size=2, shard=(index, 2)).epoch(0)) for index in range(2)]
        assert [[len(batch) for batch in part] for part in parts] == [[1, 1], [1, 0]]
        assert parts[1][1].cells["number"].values.shape[0] == 0


class TestDigest:
    """Names what unshuffled batches hold, so that what was made of them can be kept."""

    def test_equal_for_equal_cells_of_equal_rows_in_equal_batches(self, loader, monkeypatch):
        monkeypatch.setattr(Blob, "collate", lambda self, arrays: pytest.fail("collated"))
        digest = loader([1, 2, 3]).digest(["blob"])
        assert digest == loader([1, 2, 3], seed=7).digest(["blob"])
        others = [
            loader([1, 2, 4]).digest(["blob"]),
            loader([2, 1, 3]).digest(["blob"]),
            loader([1, 2, 3], batch_size=2).digest(["blob"]),
            loader([1, 2, 3]).digest(["number"]),
            loader([1, 2, 3]).digest(["blob", "number"]),
        ]
        assert len({digest, *others}) == 1 + len(others)

    def test_other_contents_of_the_same_rows_differ(self, loader, prepared):
        digest = loader([1, 2, 3]).digest(["number"])
        contents, index = ContentsWriter(), np.full(ROWS, -1)
        for row in (1, 2, 3):
            index[row] = contents.add(np.array([row + (row == 2)], dtype=np.float32))
        prepared.stores["number"] = Store(contents.contents(), index)
        assert loader([1, 2, 3]).digest(["number"]) != digest


class TestThread:
    def threads(self):
        return [thread for thread in threading.enumerate() if thread.name.startswith("polymodal-loader")]

    def test_batches_are_made_in_one_thread_that_ends(self, loader):
        list(loader(augment=True).epoch(0))
        assert len(Blob.threads) == 1
        assert next(iter(Blob.threads)).startswith("polymodal-loader")
        assert self.threads() == []

    def test_one_batch_ahead(self, loader, monkeypatch):
        made = []
        original = Loader._batch
        monkeypatch.setattr(
            Loader, "_batch", lambda self, rows, epoch: made.append(len(rows)) or original(self, rows, epoch)
        )
        batches = loader(batch_size=1).epoch(0)
        next(batches)
        next(batches)
        batches.close()  # waits for the one in work
        assert len(made) == 3

    def test_stopping_early_ends_the_thread(self, loader):
        batches = loader(batch_size=1).epoch(0)
        next(batches)
        batches.close()
        assert self.threads() == []

    def test_an_epoch_that_is_never_begun_has_no_thread(self, loader):
        batches = loader().epoch(0)
        assert self.threads() == []
        del batches

    def test_exceptions_come_through(self, loader, monkeypatch):
        def fail(self, arrays):
            raise ValueError("bad collate")

        monkeypatch.setattr(Figure, "collate", fail)
        with pytest.raises(ValueError, match="bad collate"):
            list(loader().epoch(0))
        assert self.threads() == []


def test_rows_of_like_size_share_a_batch_and_every_row_still_comes_once():
    contents = ContentsWriter()
    sizes = np.random.default_rng(0).integers(1, 1000, 640)
    index = np.array([contents.add(np.zeros(size, np.uint8)) for size in sizes])
    prepared = Prepared({"blob": Store(contents.contents(), index)}, (), np.empty(0, np.int64))
    loader = Dataset(prepared, {"blob": Blob(FakeConfig())}).loader(batch_size=8, shuffle=True)
    batches, others = ([batch.rows.numpy() for batch in loader.epoch(epoch)] for epoch in (0, 1))
    assert sorted(np.concatenate(batches)) == list(range(640))
    padded = sum(len(rows) * sizes[rows].max() for rows in batches)
    assert padded < 1.25 * sizes.sum()  # in random order it is about 1.8
    largest = [sizes[rows].max() for rows in batches]
    assert largest != sorted(largest)
    assert {frozenset(rows.tolist()) for rows in batches}.isdisjoint(frozenset(rows.tolist()) for rows in others)
