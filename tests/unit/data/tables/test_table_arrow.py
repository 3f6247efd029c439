"""Arrow files, Parquet folders and `datasets`: the same cells, from wherever they come."""

import datetime as dt

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from polymodal.data.tables.table import read_table
from polymodal.errors import TableError

CELLS = {
    "n": [1, None, 3],
    "text": ["nul \0", "👩‍👧", None],
    "blob": [b"\x00\xff", None, b""],
    "tags": [["a", "b"], [], None],
    "kind": ["u", "v", "u"],
}
ARROW = pa.table({**CELLS, "kind": pa.array(CELLS["kind"]).dictionary_encode()})


def cells(table):
    return {name: table.values(name) for name in table.names}


def write_stream(table, path):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write_file(table, path):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


WRITERS = {
    "t.arrow": write_file,
    "s.arrow": write_stream,
    "t.ipc": write_stream,
    "t.feather": lambda table, path: feather.write_feather(table, str(path), compression="zstd"),
    "u.feather": lambda table, path: feather.write_feather(table, str(path), compression="uncompressed"),
    "t.parquet": pq.write_table,
    "t.pq": pq.write_table,
}


class TestFiles:
    @pytest.mark.parametrize("name", WRITERS)
    def test_same_cells(self, tmp_path, name):
        WRITERS[name](ARROW, tmp_path / name)
        table = read_table(tmp_path / name)
        assert cells(table) == CELLS
        assert table.folder == tmp_path
        assert table.line(0) is None

    @pytest.mark.parametrize("name", WRITERS)
    def test_truncated_anywhere(self, tmp_path, name):
        WRITERS[name](ARROW, tmp_path / name)
        content = (tmp_path / name).read_bytes()
        # an Arrow stream may end without a last mark, so a cut between its batches cannot be seen
        for length in (0, 3, 11, len(content) // 3, len(content) * 2 // 3, len(content) - 20):
            (tmp_path / name).write_bytes(content[:length])
            with pytest.raises(TableError, match=rf"{name}(:| cannot be read|)"):
                read_table(tmp_path / name)

    @pytest.mark.parametrize("name", ["t.arrow", "u.feather", "s.arrow"])
    def test_a_damaged_file_never_ends_the_process(self, tmp_path, name):
        WRITERS[name](pa.table({"text": ["some", "words", None, "here"] * 2}), tmp_path / name)
        content = (tmp_path / name).read_bytes()
        for place in range(0, len(content), 7):
            spoilt = content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
            (tmp_path / name).write_bytes(spoilt)
            try:
                table = read_table(tmp_path / name)
            except TableError:
                continue
            assert all(len(column) == table.num_rows for column in cells(table).values())

    def test_old_feather(self, tmp_path):
        (tmp_path / "t.feather").write_bytes(b"FEA1" + bytes(100))
        with pytest.raises(TableError, match=r"Feather version 1.*Parquet"):
            read_table(tmp_path / "t.feather")

    def test_text_in_parquet_that_is_not_utf_8(self, tmp_path):
        bad = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe"))
        pq.write_table(pa.table({"a": bad}), tmp_path / "t.parquet")
        with pytest.raises(TableError, match=r"t\.parquet cannot be read: .*UTF8"):
            read_table(tmp_path / "t.parquet")


def test_dates_that_python_does_not_have_are_text():
    table = read_table(pa.table({"when": pa.array([2**60, 0, None], pa.timestamp("us"))}))
    assert table.values("when")[0] == "<value out of range: 1152921504606846976>"
    assert table.values("when")[1:] == [dt.datetime(1970, 1, 1), None]


class TestFolder:
    def write(self, folder, files):
        for name, columns in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), folder / name)
        return folder

    def test_files_in_order_of_their_paths(self, tmp_path):
        files = {f"part-{number}.parquet": {"a": [number, 10 + number]} for number in (2, 0, 1)}
        (tmp_path / "_SUCCESS").write_text("")
        (tmp_path / ".part-0.parquet.crc").write_text("")
        table = read_table(self.write(tmp_path, {**files, "_old/x.parquet": {"a": [99]}}))
        assert table.values("a") == [0, 10, 1, 11, 2, 12]
        assert table.folder == tmp_path
        assert table.where(3) == f"{tmp_path}, row 3"

    def test_hive_partitions_become_columns(self, tmp_path):
        files = {
            "split=train/code=007/a.parquet": {"a": [1]},
            "split=train/code=010/a.parquet": {"a": [2]},
            "split=test/code=a%2Fb/a.parquet": {"a": [3]},
            "split=test/code=__HIVE_DEFAULT_PARTITION__/a.parquet": {"a": [4]},
        }
        table = read_table(self.write(tmp_path, files))
        assert cells(table) == {
            "a": [4, 3, 1, 2],
            "split": ["test", "test", "train", "train"],
            "code": [None, "a/b", "007", "010"],
        }

    def test_partitions_of_numbers_are_numbers(self, tmp_path):
        files = {f"year={year}/a.parquet": {"a": [1]} for year in (2023, 2024)}
        assert read_table(self.write(tmp_path, files)).values("year") == [2023, 2024]

    def test_as_polars_and_arrow_write_them(self, tmp_path):
        frame = pl.DataFrame({"k": ["x", "y", "x"], "n": [1, 2, 3]})
        frame.write_parquet(tmp_path / "polars", partition_by="k", mkdir=True)
        pq.write_to_dataset(frame.to_arrow(), tmp_path / "arrow", partition_cols=["k"])
        for name in ("polars", "arrow"):
            table = read_table(tmp_path / name)
            assert sorted(zip(table.values("k"), table.values("n"), strict=True)) == [("x", 1), ("x", 3), ("y", 2)]

    def test_a_column_that_some_files_lack_and_wider_integers(self, tmp_path):
        files = {"1.parquet": {"a": pa.array([1], pa.int32())}, "2.parquet": {"a": [2], "b": ["x"]}}
        assert cells(read_table(self.write(tmp_path, files))) == {"a": [1, 2], "b": [None, "x"]}

    @pytest.mark.parametrize(
        ("files", "reason"),
        [
            ({"1.parquet": {"a": [1]}, "2.parquet": {"a": ["x"]}}, "do not go together"),
            ({"a=2/1.parquet": {"a": [1]}}, "its column 'a' does not say '2'"),
            ({"k=1/1.parquet": {"a": [1]}, "2.parquet": {"a": [1]}}, "Put all files at one depth"),
            ({"_delta_log/1.parquet": {"a": [1]}, "2.parquet": {"a": [1]}}, "Delta Lake"),
            ({}, "without Parquet or Arrow files"),
        ],
    )
    def test_what_does_not_go_together(self, tmp_path, files, reason):
        with pytest.raises(TableError, match=reason):
            read_table(self.write(tmp_path, files))

    def test_a_damaged_file_is_named(self, tmp_path):
        self.write(tmp_path, {"1.parquet": {"a": [1]}})
        (tmp_path / "2.parquet").write_bytes(b"PAR1PAR1")
        with pytest.raises(TableError, match=r"2\.parquet cannot be read"):
            read_table(tmp_path)

    def test_a_folder_of_other_tables_says_which_to_name(self, tmp_path):
        (tmp_path / "rows.csv").write_text("a\n1\n")
        with pytest.raises(TableError, match=r"Name a file in it, such as rows\.csv"):
            read_table(tmp_path)

    def test_both_kinds(self, tmp_path):
        self.write(tmp_path, {"1.parquet": {"a": [1]}})
        write_file(ARROW, tmp_path / "2.arrow")
        with pytest.raises(TableError, match="both Parquet and Arrow"):
            read_table(tmp_path)

    def test_a_saved_dataset_without_what_it_computed(self, tmp_path):
        write_stream(ARROW, tmp_path / "data-00000-of-00001.arrow")
        write_stream(ARROW, tmp_path / "cache-0123.arrow")
        (tmp_path / "state.json").write_text("{}")
        assert cells(read_table(tmp_path)) == CELLS
        (tmp_path / "dataset_dict.json").write_text("{}")
        with pytest.raises(TableError, match="name the folder of one of its splits"):
            read_table(tmp_path)


class Dataset:
    """Speaks as `datasets.Dataset` does: its own table holds rows that were not selected."""

    __module__ = "datasets.arrow_dataset"

    def __init__(self, table, rows):
        self.data, self.rows = table, rows

    def __len__(self):
        return len(self.rows)

    def with_format(self, name):
        assert name == "arrow"
        return self

    def __getitem__(self, key):
        return self.data.take(self.rows)[key]


class Stream:
    __module__ = "datasets.iterable_dataset"


MEDIA = [{"bytes": b"\x89PNG", "path": "a.png"}, {"bytes": None, "path": "b.png"}, {"bytes": None, "path": None}, None]


class TestDatasets:
    def test_rows_that_were_selected(self):
        assert read_table(Dataset(ARROW, [2, 0])).values("n") == [3, 1]

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ({"train": Dataset(ARROW, [0]), "test": Dataset(ARROW, [1])}, r"splits train, test\..*data\['train'\]"),
            (Stream(), "the Stream is a stream"),
            ({"train": Stream()}, "splits train"),
        ],
    )
    def test_what_is_no_single_table(self, source, reason):
        with pytest.raises(TableError, match=reason):
            read_table(source)

    def test_media_are_bytes_or_paths(self, tmp_path):
        expected = {"media": [b"\x89PNG", "b.png", None, None], "many": [[b"\x89PNG", "b.png"], [], None, None]}
        columns = {"media": MEDIA, "many": [MEDIA[:2], [], None, None]}
        pq.write_table(pa.table(columns), tmp_path / "t.parquet")
        assert cells(read_table(tmp_path / "t.parquet")) == expected
        assert read_table(pd.DataFrame(columns)).values("media") == expected["media"]

    def test_other_dicts_stay_what_they_are(self):
        others = [{"path": "a"}, {"bytes": "text", "path": "a"}, {"bytes": b"", "path": "a", "more": 1}]
        assert read_table({"a": others}).values("a") == others

    def test_extension_types_are_what_they_are_stored_as(self):
        kind = pa.fixed_shape_tensor(pa.float32(), (2,))
        column = pa.ExtensionArray.from_storage(kind, pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2)))
        assert [cell.tolist() for cell in read_table(pa.table({"a": column})).values("a")] == [[1, 2], [3, 4]]
