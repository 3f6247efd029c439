"""A cell that names no file: the reason says why, as far as the folder of the table tells, and nothing else is read."""

import sys
import unicodedata

import pytest

from polymodal.config.run_config import LimitsConfig, RunConfig
from polymodal.data.cells.media import open_cell
from polymodal.data.columns.infer import infer_columns
from polymodal.data.tables.table import read_table
from polymodal.errors import UnreadableCellError

FAULTS = [  # (cell, a word of the cause, the file that may be meant)
    ("~/img/a.png", "~", "img/a.png"),
    ("~somebody/a.png", "~", None),
    ("$HOME/img/a.png", "variables", "img/a.png"),
    ("${DATA}/a.png", "variables", None),
    ("img/my%20pic.png", "%20", "img/my pic.png"),
    ("img/a.png?raw=true", "?", "img/a.png"),
    ("img/A.PNG", "case", "img/a.png"),
    ("Img/a.png", "case", "img/a.png"),
    ("img/" + unicodedata.normalize("NFD", "ä.png"), "accents", "img/ä.png"),
    ("img/a.jpg", "ending", "img/a.png"),
    ("/no/such/place/img/a.png", "end of the path", "img/a.png"),
    ("![a](img/a.png)", "markup", "img/a.png"),
    ("![](img/b.png 'a title')", "markup", None),
    ('<img alt="a" src="img/a.png">', "markup", "img/a.png"),
    ("data/img/a.png", "end of the path", "img/a.png"),
]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names that differ in case are different files")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "table/img").mkdir(parents=True)
    for name in ("a.png", "my pic.png", "ä.png"):
        (tmp_path / "table/img" / name).write_bytes(b"content")
    (tmp_path / "secret.png").write_bytes(b"content")
    return tmp_path / "table"


def reason(cell, folder):
    with pytest.raises(UnreadableCellError, match="no such file") as caught:
        open_cell(cell, folder, LimitsConfig())
    return str(caught.value)


@pytest.mark.parametrize(("cell", "cause", "near"), FAULTS)
def test_the_reason_of_a_reject_says_why(folder, cell, cause, near):
    assert cause in reason(cell, folder)


@pytest.mark.parametrize(("cell", "cause", "near"), [*FAULTS, ("C:\\data\\img\\a.png", "end of the path", "img/a.png")])
def test_a_column_of_such_cells_says_why_and_which_file_is_there(folder, cell, cause, near):
    table = read_table({"photo": [cell, "img/absent.png"], "size": [1.5, 2.5]}, folder=folder)
    column = infer_columns(table, RunConfig())[0]
    assert column.kind == "unread" and cause in column.reason
    assert near is None or f"{near} is there" in column.reason


def test_paths_without_an_ending_are_told_of_and_keys_are_not(folder):
    for number in range(24):
        (folder / "img" / f"{number}.png").write_bytes(b"content")
        (folder / f"key_{number}.png").write_bytes(b"content")

    def column(form):
        cells = [form.format(number) for number in range(24)]
        return infer_columns(read_table({"photo": cells, "size": [1.5] * 23 + [2.5]}, folder=folder), RunConfig())[0]

    found = column("img/{}")
    assert found.kind == "unread" and "img/0.png is there" in found.reason and "ending" in found.reason
    assert [column(form).kind for form in ("other/{}", "key_{}", "1/{}")] == ["identifier"] * 3


@pytest.mark.parametrize(
    "cell",
    ["img/b.png", "../SECRET.png", "..%2Fsecret.png", "../secret.jpg", "x/../../SECRET.PNG", "/etc/PASSWD", "nowhere"],
)
def test_nothing_is_guessed_and_nothing_outside_the_folder_is_looked_at(folder, cell):
    assert "one is there" not in reason(cell, folder)


def test_what_is_no_media_in_base64(folder):
    assert "base64" in reason("AAAA", folder)
    assert "base64" not in reason("img/b.png", folder)
