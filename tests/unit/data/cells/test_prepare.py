"""Every cell is read once, kept or rejected with its reason, and never becomes another row's."""

import hashlib
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from fakes import Blob

from polymodal.config.run_config import LimitsConfig
from polymodal.data.cells import reading
from polymodal.data.cells.prepare import fit_statistics, modality_of, prepare, write_records
from polymodal.data.cells.store import CacheEntry, ReadContent
from polymodal.data.tables.table import read_table
from polymodal.errors import ColumnError, ConfigError, DataError
from polymodal.schema import Column

LIMITS = LimitsConfig()
BLOB = Column(name="blob", kind="blob", modality="blob", reason="", settings={"step": 2})
NUMBER = Column(name="number", kind="number", modality="number", reason="")
LEFT = Column(name="left", kind="constant", modality=None, reason="")


def read(table, columns=(BLOB,), *, bad_cells="missing", cache=None):
    return prepare(table, columns, limits=LIMITS, bad_cells=bad_cells, cache=cache)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def table(tmp_path, fakes):
    """Rows: good, missing cell, not a blob, the same good content, no such file, not a blob again, empty blob."""
    folder = tmp_path / "media"
    folder.mkdir()
    for name, content in {"a": b"BLOB\1\2", "b": b"<html>", "c": b"BLOB\1\2", "d": b"<html>", "e": b"BLOB"}.items():
        (folder / name).write_bytes(content)
    return read_table({"blob": ["a", None, "b", "c", "nowhere", "d", "e"], "number": list("1234567")}, folder=folder)


def check(prepared, table):
    store = prepared.stores["blob"]
    assert len(store) == 7
    assert store.present.tolist() == [True, False, False, True, False, False, True]
    for row in (0, 3):
        np.testing.assert_array_equal(store[row], [2, 4])
        assert store[row].dtype == np.int16
    assert store[6].shape == (0,)
    assert [array is None for array in store.arrays(np.array([1, 0]))] == [True, False]
    rejects = [(reject.row, reject.reason, reject.sha256, reject.file) for reject in prepared.rejects]
    assert rejects == [
        (2, "not a blob", sha(b"<html>"), str(table.folder / "b")),
        (4, "no such file", None, str(table.folder / "nowhere")),
        (5, "not a blob", sha(b"<html>"), str(table.folder / "d")),
    ]
    assert {reject.column for reject in prepared.rejects} == {"blob"}


class TestMedia:
    def test_kept_and_rejected_make_the_input(self, table):
        prepared = read(table)
        check(prepared, table)
        assert prepared.dropped.tolist() == []

    def test_arrays_cannot_be_written_to(self, table, tmp_path):
        for cache in (None, tmp_path / "cache"):
            with pytest.raises(ValueError, match="read-only"):
                read(table, cache=cache).stores["blob"][0][0] = 1

    def test_cells_in_memory(self, fakes):
        cells = [b"BLOB\1", np.array([5, 6]), b"", b"no blob"]
        prepared = read(read_table({"blob": cells}))
        assert [None if array is None else array.tolist() for array in prepared.stores["blob"].arrays(range(4))] == [
            [2], [5, 6], None, None,
        ]  # fmt: skip
        assert [(r.file, r.row, r.reason) for r in prepared.rejects] == [
            ("the dict", 2, "holds no bytes"), ("the dict", 3, "not a blob"),
        ]  # fmt: skip

    def test_many_cells_keep_their_order(self, fakes):
        cells = [b"BLOB" + row.to_bytes(2, "big") for row in range(500)]
        store = read(read_table({"blob": cells})).stores["blob"]
        expected = [[2 * (row // 256), 2 * (row % 256)] for row in range(500)]
        assert [array.tolist() for array in store.arrays(range(500))] == expected

    def test_rejects_keep_their_order(self, fakes):
        cells = [str(row).encode() if row % 3 else b"BLOB" for row in range(500)]
        rejects = read(read_table({"blob": cells})).rejects
        assert [reject.row for reject in rejects] == [row for row in range(500) if row % 3]

    def test_content_that_two_threads_read_at_once_is_held_once(self, fakes, monkeypatch):
        together = threading.Barrier(2, timeout=10)

        def wait(self, cell):
            together.wait()
            return np.zeros(9)

        monkeypatch.setattr(reading, "_THREADS", 2)
        monkeypatch.setattr(Blob, "read", wait)
        store = read(read_table({"blob": [b"BLOB", b"BLOB"]})).stores["blob"]
        assert store[0].base.nbytes == 9 * 8

    def test_equal_contents_are_held_once(self, fakes):
        store = read(read_table({"blob": [b"BLOB\7"] * 500 + [b"BLOB\3"]})).stores["blob"]
        assert store[0].base is not None and np.shares_memory(store[0], store[499])
        assert len(Blob.reads) < 100  # threads that start together may read the same content

    def test_a_failure_that_is_no_unreadable_cell_comes_through(self, fakes, monkeypatch):
        monkeypatch.setattr(Blob, "read", lambda self, cell: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            read(read_table({"blob": [b"BLOB"] * 100}))

    def test_a_modality_that_changes_its_dtype_is_found_out(self, fakes, monkeypatch):
        monkeypatch.setattr(Blob, "read", lambda self, cell: np.zeros(1, np.uint8 if cell == b"a" else np.int32))
        with pytest.raises(ValueError, match="must keep to one"):
            read(read_table({"blob": [b"a", b"b"]}))


class TestCache:
    def test_decoded_once_over_runs(self, table, tmp_path):
        cache = tmp_path / "deep" / "cache"
        check(read(table, cache=cache), table)
        assert len(Blob.reads) == 3  # distinct contents
        check(read(table, cache=cache), table)
        assert len(Blob.reads) == 3
        (entry,) = cache.iterdir()
        assert sorted(file.name for file in entry.iterdir()) == [
            "cells.bin", "contents.json", "offsets.npy", "shapes.npy",
        ]  # fmt: skip

    def test_arrays_are_mapped(self, table, tmp_path):
        base = read(table, cache=tmp_path / "cache").stores["blob"][0]
        while isinstance(base, np.ndarray):
            base, owner = base.base, base
        assert isinstance(owner, np.memmap)

    def test_key_is_of_content_and_settings(self, table, tmp_path):
        cache = tmp_path / "cache"
        read(table, cache=cache)
        moved = shutil.copytree(table.folder, tmp_path / "moved")
        same = read_table({"blob": table.values("blob")}, folder=Path(moved))
        read(same, cache=cache)
        assert len(list(cache.iterdir())) == 1
        read(table, [BLOB.model_copy(update={"settings": {"step": 3}})], cache=cache)
        assert len(list(cache.iterdir())) == 2
        (table.folder / "a").write_bytes(b"BLOB\x09")
        assert read(table, cache=cache).stores["blob"][0].tolist() == [18]
        assert len(list(cache.iterdir())) == 3

    @pytest.mark.parametrize("file", ["cells.bin", "contents.json", "offsets.npy", "shapes.npy"])
    @pytest.mark.parametrize("damage", ["removed", "cut", "emptied"])
    def test_an_entry_that_is_not_whole_is_made_again(self, table, tmp_path, file, damage):
        cache = tmp_path / "cache"
        read(table, cache=cache)
        (entry,) = cache.iterdir()
        content = (entry / file).read_bytes()
        (entry / file).unlink()
        if damage != "removed":
            (entry / file).write_bytes(content[:-1] if damage == "cut" else b"")
        check(read(table, cache=cache), table)
        assert [left.name for left in cache.iterdir()] == [entry.name]
        assert (entry / file).read_bytes() == content

    def test_of_two_processes_the_faster_one_counts(self, tmp_path):
        entry = CacheEntry(tmp_path, "key")

        def slow(writer):
            entry.write(lambda other: {"sha": ReadContent(other.add(np.array([1])))})
            return {"sha": ReadContent(writer.add(np.array([2])), "odd")}

        contents, found = entry.write(slow)
        assert (contents[0].tolist(), found) == ([1], {"sha": ReadContent(0)})
        assert [left.name for left in tmp_path.iterdir()] == ["key"]

    def test_a_failure_leaves_nothing(self, table, tmp_path, monkeypatch):
        monkeypatch.setattr(Blob, "read", lambda self, cell: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            read(table, cache=tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_a_file_that_changes_meanwhile_is_an_error(self, table, tmp_path, monkeypatch):
        opened = reading.open_cell

        def change(cell, folder, limits, **more):
            found = opened(cell, folder, limits, **more)
            (folder / cell).write_bytes((folder / cell).read_bytes() + b"\0")
            return found

        monkeypatch.setattr(reading, "open_cell", change)
        with pytest.raises(DataError, match=r"row 0.*column 'blob': .*a changed while it was read"):
            read(table, cache=tmp_path / "cache")

    def test_a_column_without_any_content(self, fakes, tmp_path):
        table = read_table({"blob": [None, "nowhere"]}, folder=tmp_path)
        prepared = read(table, cache=tmp_path / "cache")
        assert prepared.stores["blob"].arrays([0, 1]) == [None, None]


class TestPlain:
    def test_values_and_rejects(self, fakes):
        prepared = read(read_table({"number": [1.5, None, "one", True, 2]}), [NUMBER, LEFT])
        assert [None if a is None else a.tolist() for a in prepared.stores["number"].arrays(range(5))] == [
            [1.5], None, None, [1.0], [2.0],
        ]  # fmt: skip
        (reject,) = prepared.rejects
        assert (reject.file, reject.row, reject.column) == ("the dict", 2, "number")
        assert (reject.reason, reject.sha256) == ("not a number: 'one'", sha(b"one"))

    def test_an_integer_too_long_to_print_becomes_reject(self):
        (reject,) = read(read_table({"number": [1, 10**5_000]}), [NUMBER]).rejects
        assert (reject.row, reject.sha256) == (1, sha(hex(10**5_000).encode()))

    def test_text_round_trip(self, fakes):
        texts = ["nul \0", "👩‍👧", "שלום", "lone \ud800", "long " * 100_000]
        word = Column(name="t", kind="word", modality="word", reason="")
        store = read(read_table({"t": texts}), [word]).stores["t"]
        assert [array.tobytes().decode("utf-8", "surrogatepass") for array in store.arrays(range(5))] == texts


class TestPolicies:
    def test_drop_lists_rows_once(self, table):
        prepared = read(table, [BLOB, Column(name="number", kind="blob", modality="word", reason="")], bad_cells="drop")
        assert prepared.dropped.tolist() == [2, 4, 5]

    def test_error_names_file_row_column_and_reason(self, table):
        with pytest.raises(DataError, match=r"the dict, row 2, column 'blob': .*b: not a blob\. 2 more cannot be read"):
            read(table, bad_cells="error")

    def test_error_names_the_line(self, tmp_path, fakes):
        (tmp_path / "t.csv").write_text("blob\nnowhere\n")
        with pytest.raises(DataError, match=r"t\.csv, row 0 \(line 2\), column 'blob': .*nowhere: no such file"):
            read(read_table(tmp_path / "t.csv"), bad_cells="error")

    def test_all_rows_bad(self, fakes):
        table = read_table({"blob": [b"x", b"y"]})
        with pytest.raises(DataError, match="No row is left"):
            read(table, bad_cells="drop")
        with pytest.raises(DataError, match=r"readable cell\. the dict, row 0, column 'blob': not a blob\. Repair"):
            fit_statistics([BLOB], read(table), np.arange(2))


class TestStatistics:
    def test_training_rows_only(self, table):
        columns = fit_statistics([BLOB, LEFT], read(table), np.array([0, 1, 6]))
        assert columns[0].statistics == {"total": 6, "fitted_before": False}
        assert columns[1] == LEFT
        assert BLOB.statistics == {}

    def test_fitting_again_starts_anew(self, table):
        prepared = read(table)
        once = fit_statistics([BLOB], prepared, np.array([0, 3]))
        assert fit_statistics(once, prepared, np.array([0])) == fit_statistics([BLOB], prepared, np.array([0]))

    def test_modality_of(self, fakes):
        modality = modality_of(BLOB.model_copy(update={"statistics": {"total": 1}}))
        assert (modality.config.step, modality.statistics) == (2, {"total": 1})
        assert modality_of(BLOB).statistics is None
        with pytest.raises(ConfigError, match="stpe"):
            modality_of(BLOB.model_copy(update={"settings": {"stpe": 1}}))


def test_absent_column(fakes):
    with pytest.raises(ColumnError, match="no column 'blob'"):
        read(read_table({"blop": [1]}))


def test_rejects_as_json_lines(table, tmp_path):
    prepared = read(table)
    path = tmp_path / "rejects.jsonl"
    strange = [reading.Reject("\ud800\n.png", 7, "фото", "no such file", None)]
    write_records([*prepared.rejects, *strange], path)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 4
    assert list(lines[0]) == ["file", "row", "column", "reason", "sha256"]
    assert lines[3] == {
        "file": "\ud800\n.png", "row": 7, "column": "фото", "reason": "no such file", "sha256": None,
    }  # fmt: skip
    write_records([], path)
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "cells",
    [
        [1.5, None, -0.0, float("nan"), 2e300],
        [1, None, -3, 2**53 + 1],
        [float("inf"), 1.0, 2.0],
        [1.5, 1e308, None],
        [None, None],
        [True, False, None],
    ],
)
@pytest.mark.parametrize("settings", [{}, {"unit": "kg"}, {"decimal": "comma"}])
def test_a_column_of_numbers_is_read_at_once_as_it_is_cell_by_cell(cells, settings):
    column = Column(name="number", kind="number", modality="number", reason="", settings=settings)
    one_by_one = read(read_table({"number": np.array(cells, dtype=object)}), [column])
    typed = read_table({"number": pa.chunked_array([cells[:2], cells[2:]], type=_type(cells))})
    at_once = read(typed, [column])
    assert _numbers(at_once) == _numbers(one_by_one)
    assert [(one.row, one.reason) for one in at_once.rejects] == [(one.row, one.reason) for one in one_by_one.rejects]


def _type(cells):
    kinds = {type(cell) for cell in cells if cell is not None} or {float}
    return {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}[kinds.pop()]


def _numbers(prepared):
    store = prepared.stores["number"]
    return [None if (array := store[row]) is None else (array.dtype.str, array.tolist()) for row in range(len(store))]
