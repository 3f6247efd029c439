"""Text tables in any encoding, delimiter and compression: the same cells, or an error that says line and way out."""

import bz2
import gzip
import json
import lzma

import pyarrow as pa
import pytest

from polymodal.config.run_config import RunConfig, make, override
from polymodal.config.table import TableConfig
from polymodal.data.tables import textfile
from polymodal.data.tables.table import read_table
from polymodal.errors import ConfigError, TableError

CELLS = {"größe": [1.5, None, -2.0], "text": ["naïve", 'a "b", c\nd', None], "code": ["007", "010", "1"]}
CSV = 'größe,text,code\n1.5,naïve,007\n,"a ""b"", c\nd",010\n-2,,1\n'
LINES = "".join(
    json.dumps(dict(zip(CELLS, row, strict=True)), ensure_ascii=False) + "\n"
    for row in zip(*CELLS.values(), strict=True)
)


def zstd(content):
    with pa.BufferOutputStream() as buffer:
        with pa.CompressedOutputStream(buffer, "zstd") as stream:
            stream.write(content)
        return buffer.getvalue().to_pybytes()


COMPRESS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd}


@pytest.fixture
def table(tmp_path):
    def read(content, name="t.csv", **text):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(tmp_path / name, text=TableConfig(**text))

    return read


def cells(table):
    return {name: table.values(name) for name in table.names}


class TestEncoding:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
    @pytest.mark.parametrize(("name", "content"), [("t.csv", CSV), ("t.jsonl", LINES)])
    def test_utf_with_a_byte_order_mark_needs_no_setting(self, table, encoding, name, content):
        found = table(content.encode(encoding), name)
        assert cells(found) == CELLS
        assert [found.line(row) for row in range(3)] == ([2, 3, 5] if name == "t.csv" else [1, 2, 3])

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    def test_utf_16_big_endian_mark_and_none(self, table, encoding):
        mark = "\ufeff"
        assert cells(table((mark + CSV).encode(encoding))) == CELLS
        with pytest.raises(TableError, match=rf"line 1: every second byte is NUL.*table\.encoding={encoding}"):
            table(CSV.encode(encoding))
        assert cells(table(CSV.encode(encoding), encoding=encoding)) == CELLS

    @pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ISO-8859-15", "windows-1252"])
    @pytest.mark.parametrize(("name", "content"), [("t.csv", CSV), ("t.jsonl", LINES)])
    def test_eight_bits_by_the_setting(self, table, encoding, name, content):
        assert cells(table(content.encode(encoding), name, encoding=encoding)) == CELLS

    def test_of_the_far_east(self, table):
        assert table("名,b\n値,1\n".encode("shift-jis"), encoding="Shift-JIS").values("名") == ["値"]

    def test_every_encoding_that_may_be_named(self, table):
        from polymodal.config.table import _ENCODINGS

        assert len(_ENCODINGS) > 80
        for encoding in sorted(_ENCODINGS):
            assert cells(table("a,b\nx,2\n".encode(encoding), encoding=encoding)) == {"a": ["x"], "b": [2]}, encoding

    def test_what_is_utf_8_is_read_so_whatever_is_said(self, table):
        assert cells(table(CSV, encoding="cp1252")) == CELLS
        assert cells(table(CSV.encode("utf-16"), encoding="cp1252")) == CELLS

    def test_without_the_setting_the_error_names_line_byte_and_way_out(self, table):
        expected = (
            r"t\.csv, line 3: byte 5 is not UTF-8. Read as cp1252 the line would be 'x,Größe'.*encoding=cp1252.*iconv"
        )
        with pytest.raises(TableError, match=expected):
            table("a,b\n1,2\nx,Größe\n".encode("cp1252"))

    def test_a_header_that_is_not_utf_8_is_found_where_all_else_is(self, table):
        with pytest.raises(TableError, match=r"line 1: byte 3 is not UTF-8"):
            table("größe,b\n1,2\n".encode("cp1252"))

    def test_a_byte_that_the_set_encoding_lacks(self, table):
        with pytest.raises(TableError, match=r"line 2: character 1 is not cp1252. Set table\.encoding"):
            table(b"a\n\x81\xff\n", encoding="cp1252")

    def test_utf_16_cut_in_a_character(self, table):
        with pytest.raises(TableError, match="line 3: character 1 is not utf-16"):
            table("a\nb\nc".encode("utf-16")[:-1])

    def test_json_lines_name_the_line(self, table):
        with pytest.raises(TableError, match=r"t\.jsonl, line 2: byte 8 is not UTF-8"):
            table(b'{"a": 1}\n{"a": "\xe9"}\n', "t.jsonl")

    def test_an_unknown_encoding(self):
        with pytest.raises(ConfigError, match=r"table\.encoding.*no encoding of text is called so.*'cp1252'"):
            make({"table": {"encoding": "cp1522"}})
        for name in ("rot13", "base64", "os", "__main__", "mbcs"):
            with pytest.raises(ConfigError, match=r"table\.encoding"):
                make({"table": {"encoding": name}})

    def test_the_setting_by_the_command_line(self):
        config = override(RunConfig(), ["table.encoding=Windows-1252", "table.delimiter=;"])
        assert (config.table.encoding, config.table.delimiter) == ("cp1252", ";")
        for name, character in {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}.items():
            config = override(RunConfig(), [f"table.delimiter={name}"])
            assert config.table.delimiter == character
            assert make(config.model_dump(mode="json")) == config
        with pytest.raises(ConfigError, match=r"table\.delimiter"):
            make({"table": {"delimiter": ",,"}})


class TestDelimiter:
    @pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
    def test_is_found_out(self, table, mark):
        found = table(f'a{mark}b{mark}c\n1{mark}x{mark}"{mark}"\n\n2{mark}y,z;{mark}\n'.replace("y,z;", f'"y{mark}z"'))
        assert cells(found) == {"a": [1, 2], "b": ["x", f"y{mark}z"], "c": [mark, None]}

    def test_decimal_commas_do_not_hide_the_semicolon(self, table):
        assert cells(table("a;b\n1,5;x\n2,25;y\n")) == {"a": ["1,5", "2,25"], "b": ["x", "y"]}
        found = table("a;b;c;d\n1,5;1,5;1.500;007\n-0,25;;2.000;1\n,5;3;3.000;2\n", decimal="comma")
        assert found.values("a") == [1.5, -0.25, 0.5]
        assert found.values("b") == [1.5, None, 3.0]
        assert found.values("c") == ["1.500", "2.000", "3.000"]  # a point may part thousands
        assert found.values("d") == ["007", "1", "2"]

    def test_one_column_of_text_stays_one(self, table):
        assert table("text\none; two\nthree\n").values("text") == ["one; two", "three"]
        assert table("text\na|b\nc|d\n").values("text") == ["a|b", "c|d"]

    def test_a_comma_wins_where_it_can(self, table):
        assert table("a,b|c\n1,2|3\n").names == ("a", "b|c")

    def test_the_setting_goes_first(self, table):
        assert table("a,b|c\n1,2|3\n", delimiter="|").names == ("a,b", "c")
        assert table("a b\n1 2\n", "t.tsv", delimiter=" ").names == ("a", "b")

    def test_quotes_by_the_setting(self, table):
        assert cells(table("a,b\n'x,y',1\n", quote="single")) == {"a": ["x,y"], "b": [1]}
        assert cells(table('a,b\n"x,1\n', quote="none")) == {"a": ['"x'], "b": [1]}

    def test_the_unclosed_quote_is_named_where_it_opens(self, table):
        with pytest.raises(TableError, match="line 4: a quote"):
            table('a,b,c\n1,2,3\n"x\ny",1,"z\n5,6,7\n')

    def test_a_ragged_record_of_several_lines_says_where_it_ends(self, table):
        with pytest.raises(TableError, match=r"line 3 to 5: 1 cell, .* names 2 columns"):
            table('a,b\n1,2\n"3\n4\n5"\n6,7\n')


class TestCompression:
    @pytest.mark.parametrize("ending", COMPRESS)
    @pytest.mark.parametrize(
        ("name", "content"), [("t.csv", CSV), ("t.jsonl", LINES), ("t.tsv", CSV.replace(",", "\t"))]
    )
    def test_same_cells(self, table, ending, name, content):
        found = table(COMPRESS[ending](content.encode()), f"{name}.{ending}")
        assert found.names == tuple(CELLS)
        assert found.values("größe") == CELLS["größe"]
        assert found.line(1) == (2 if name == "t.jsonl" else 3)

    def test_content_tells_not_the_name(self, table):
        assert cells(table(gzip.compress(CSV.encode()))) == CELLS
        assert cells(table(CSV, "t.csv.gz")) == CELLS

    def test_in_another_encoding(self, table):
        assert cells(table(gzip.compress(CSV.encode("utf-16")), "t.csv.gz")) == CELLS
        assert cells(table(gzip.compress(CSV.encode("cp1252")), "t.csv.gz", encoding="cp1252")) == CELLS

    @pytest.mark.parametrize("ending", COMPRESS)
    @pytest.mark.parametrize("damage", ["cut", "cut to the start", "flipped"])
    def test_damage(self, table, ending, damage):
        content = COMPRESS[ending]((CSV + "3,x,y\n" * 500).encode())
        if damage == "flipped":
            if ending == "zst":  # has no checksum here
                return
            content = content[:40] + bytes([content[40] ^ 255]) + content[41:]
        else:
            content = content[: 8 if "start" in damage else -5]
        with pytest.raises(TableError, match=r"damaged .* file"):
            table(content, f"t.csv.{ending}")

    @pytest.mark.parametrize("ending", COMPRESS)
    def test_a_bomb_is_stopped_before_it_fills_memory(self, table, ending, monkeypatch):
        monkeypatch.setattr(textfile, "_MOST_BYTES", 1 << 20)
        monkeypatch.setattr(textfile, "_MOST_GROWTH", 20)
        with pytest.raises(
            TableError, match=r"more than 1,048,576 bytes when decompressed, from .* decompress the file"
        ):
            table(COMPRESS[ending](b"a,b\n" + b"0,0\n" * (1 << 20)), f"t.csv.{ending}")

    def test_ragged_lines_are_named_inside(self, table):
        with pytest.raises(TableError, match=r"t\.csv\.gz, line 3: 1 cell"):
            table(gzip.compress(b"a,b\n1,2\n3\n"), "t.csv.gz")


class TestNoTable:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"PK\x03\x04" + bytes(60), "looks like ZIP"),
            (b"PAR1" + bytes(60), "looks like Parquet"),
            (b"\x89PNG\r\n\x1a\n", "looks like PNG"),
            (b"<!DOCTYPE html><title>404</title>", "looks like HTML"),
            (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
            (b"\x80\x04\x95abc", "Python pickle"),
        ],
    )
    @pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
    def test_content_of_another_kind_is_named(self, table, content, reason, name):
        with pytest.raises(TableError, match=reason):
            table(content, name)

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("t.xlsx", "pandas.read_excel"), ("t.XLS", "CSV UTF-8"), ("t.ods", "spreadsheet"),
            ("t.numbers", "spreadsheet"),
            ("t.sqlite", "sqlite3 -header -csv"), ("t.db", "database"), ("t.pkl", "may run any program"),
            ("t.txt", r"Name it \.csv"), ("t.json", "one object a line"), ("t.zip", "Unpack it"), ("t.npz", "arrays"),
            ("t.parquet.gz", "decompress it first"), ("t.gz", r"ends with one of \.csv"),
            ("t", r"ends with one of \.csv"),
            ("t.cvs", r"Did you mean '\.csv'"), ("t.sav", "pyreadstat"), ("t.json.gz", "one object a line"),
        ],
    )  # fmt: skip
    def test_files_of_other_kinds_say_what_to_do(self, table, name, hint):
        with pytest.raises(TableError, match=hint):
            table(b"anything", name)

    def test_header_alone_and_blank_lines(self, table):
        for content in ("a;b\n", "\n\n\n", "a,b\n\n\n"):
            with pytest.raises(TableError, match=r"holds no rows|is empty"):
                table(content)


class TestLinesThatAreNoRows:
    """What other programs put around a table is passed over, and said."""

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("sep=;\na;b\n1;x\n2;y\n", "';' stands between cells"),
            ("# made by x, y, z\n# at 12\na,b\n1,x\n2,y\n", "2 lines"),
            ("# made by x\na;b\n1;x\n2;y\n", "1 line"),
            ("a,b\r\n1,x\r\n2,y\r\n\x1a", "Ctrl-Z"),
            ('a, b\n1, "x"\n2, "y"\n', "blanks before a quote"),
        ],
    )
    def test_read_and_said(self, tmp_path, text, said):
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode())
        table = read_table(path)
        assert (table.values("a"), table.values("b")) == ([1, 2], ["x", "y"])
        assert said in " ".join(table.notes)
        assert table.line(1) == [line.startswith("2") for line in text.splitlines()].index(True) + 1

    def test_a_header_with_a_hash_stays(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("#a,b\n1,x\n")
        assert read_table(path).names == ("#a", "b")
        path.write_text("# made by x\n#a,b\n1,x\n")
        assert read_table(path).names == ("#a", "b")

    def test_a_title_is_named_with_the_setting(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("My table\n\na,b\n1,x\n")
        with pytest.raises(TableError, match=r"line 3.*table\.skip_lines=2"):
            read_table(path)
        assert read_table(path, text=TableConfig(skip_lines=2)).values("b") == ["x"]


class TestEscapes:
    TEXT = 'note,label\n"they said \\"yes, 0\\" twice",a\n"b",b\n'

    def test_backslashes_before_quotes_are_read_where_it_is_said(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text(self.TEXT)
        table = read_table(path, text=TableConfig(escape="backslash"))
        assert table.values("note") == ['they said "yes, 0" twice', "b"]

    def test_else_they_are_named_with_the_setting(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text(self.TEXT)
        with pytest.raises(TableError, match=r"table\.escape=backslash"):
            read_table(path)  # the comma divides the cell
        path.write_text(self.TEXT.replace("yes, 0", "yes 0"))
        assert "table.escape=backslash" in " ".join(read_table(path).notes)

    def test_folders_of_windows_need_none(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text('p,l\n"C:\\dir\\",a\n"D:\\x\\",b\n')
        table = read_table(path)
        assert table.values("p") == ["C:\\dir\\", "D:\\x\\"] and table.notes == ()


def test_verbatim_columns_stay_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("p,q\n1.500,1.500\n2,2\n")
    table = read_table(path, text=TableConfig(verbatim=("p", "absent")))
    assert (table.values("p"), table.values("q")) == (["1.500", "2"], [1.5, 2.0])
