"""A CSV that cannot be read as it stands: the error names the setting that reads it, and that setting does read it."""

import re

import pytest

from polymodal.config.run_config import RunConfig, override
from polymodal.data.tables.table import read_table
from polymodal.errors import TableError


@pytest.fixture
def table(tmp_path):
    def read(content, *settings):
        (tmp_path / "t.csv").write_text(content, encoding="utf-8")
        return read_table(tmp_path / "t.csv", text=override(RunConfig(), list(settings)).table)

    return read


@pytest.mark.parametrize(
    ("content", "setting", "names"),
    [
        ("sep=,\na;b;y\n1;2;x\n3;4;z\n", "table.delimiter=semicolon", ("a", "b", "y")),
        ("sep=,\na;b;y\n1,5;2;x\n3,2;4,7;z\n", "table.delimiter=semicolon", ("a", "b", "y")),
        ("sep=;\na,b\n1,2\n3,4\n", "table.delimiter=comma", ("a", "b")),
        ("sep=,\na\tb\n1\t2\n3\t4\n", "table.delimiter=tab", ("a", "b")),
        ('a,b\n1,"x \\"quoted\\" y, z"\n2,u\n', "table.escape=backslash", ("a", "b")),
        ("a,b\n1,x\\,y\n2,u\n", "table.escape=backslash", ("a", "b")),
        ('a,b\n1,"x\n2,u\n3,v\n', "table.quote=none", ("a", "b")),
        ("a,b\n1,it's\n2,\"u\n3,v\n", "table.quote=none", ("a", "b")),
        ("a,b\n1,'x, y'\n2,'u, v'\n", "table.quote=single", ("a", "b")),
        ("My table\nby me, you\n\na,b,c\n1,x,2\n2,y,3\n", None, None),
        ("My table\nby me\n\na,b\n1,x\n2,y\n", "table.skip_lines=3", ("a", "b")),
        ("My table\n\na,b\n1,x\n2,y\n", "table.skip_lines=2", ("a", "b")),
    ],
)
def test_the_setting_that_is_named_reads_the_file(table, content, setting, names):
    with pytest.raises(TableError, match=r"t\.csv, line \d") as caught:
        table(content)
    found = re.findall(r"table\.\w+=\w+", str(caught.value))
    assert found[:1] == ([setting] if setting else [])
    if setting is not None:
        assert table(content, setting).names == names


def test_no_wrong_header_is_proposed(table):
    for content in ("a,b\n1,x, y\n2,u\n", "a,b\n1,“x, y”\n2,“u, v”\n", 'a,b\n1,5" disk\n2,"u, v\n3,4\n'):
        with pytest.raises(TableError, match="quote") as caught:
            table(content)
        assert "skip_lines" not in str(caught.value)
    with pytest.raises(TableError, match="lacks a name"):
        table('a,b\n"r1",1,2\n"r2",3,4\n')  # as R writes it


def test_what_excel_says_can_be_overruled_and_followed(table):
    content = "sep=,\na;b\n1;x\n3;z\n"
    assert table(content, "table.delimiter=comma").names == ("a;b",)
    assert table(content, "table.delimiter=semicolon").values("b") == ["x", "z"]
    assert table("sep=;\na;b\n1;x,y\n3;z,w\n").values("b") == ["x,y", "z,w"]
    assert table("sep=,\ntext\nhello\nyou\n").values("text") == ["hello", "you"]


@pytest.mark.parametrize(
    "content",
    [
        'a,b\n1,"x "quoted" y"\n2,u\n',
        'a,b\n1,"Hi" she said\n2,u\n',
        'a,b\n1,"u\n2,v\n3,"w"\n4,x\n',
        'a,b\n1,""x""\n2,u\n',
    ],
)  # fmt: skip
def test_text_behind_a_closing_quote_is_noted_with_its_line_and_the_setting(table, content):
    notes = " ".join(table(content).notes)
    assert re.search(r"line [24]:.*table\.quote=none", notes)


@pytest.mark.parametrize(
    "content",
    [
        'a,b\n1,"x ""quoted"" y"\n2,"""u"""\n',
        'a,b\n1,5" disk\n2,6" disk\n',
        'a,b\n1,"x" \n2,"y" \n',
        'a,b\n"x" ,1\n"y" ,2\n',
        'a,b\n1,"x\n""y"", z\n"\n2,""\n',
        'a,b\r\n1,"C:\\dir\\"\r\n2,"\\"\r\n',
        'a, b\n1, "x"\n2, "y, z"\n',
    ],
)
def test_quotes_as_csv_has_them_are_not(table, content):
    assert "closes" not in " ".join(table(content).notes)
