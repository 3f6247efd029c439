"""Reads a table from a file or a folder, by the ending of its name; says what to do about files that are no tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import pyarrow as pa

from polymodal.config.table import TableConfig
from polymodal.data.tables import column_data
from polymodal.data.tables.arrowfiles import ARROW, PARQUET, read_arrow, read_folder, read_parquet
from polymodal.data.tables.column_data import ColumnData
from polymodal.data.tables.delimited import read_delimited
from polymodal.data.tables.jsonlines import read_json_lines
from polymodal.data.tables.textfile import COMPRESSED, open_text
from polymodal.errors import TableError, did_you_mean

Pairs = list[tuple[str, ColumnData]]
Lines = Callable[[], Sequence[int]]

_DELIMITED = {".csv": None, ".tsv": "\t", ".tab": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")
_ENDINGS = (*_DELIMITED, *_JSON_LINES, *PARQUET, *ARROW)

_SPREADSHEET = (
    "a spreadsheet. Save the sheet as CSV (File > Save as > CSV UTF-8) or, in Python, pass "
    "pandas.read_excel(path, dtype=object) instead of the path"
)
_DATABASE = (
    "a database. Pass pandas.read_sql(...) in Python, or export the rows: sqlite3 -header -csv FILE 'SELECT ...'"
)
_PICKLE = (
    "a pickle, which may run any program when it is opened. Open it yourself if you trust it, and save it as Parquet"
)
_STATISTICS = "a file of another program. Read it with pandas or pyreadstat in Python, and pass the DataFrame"
_ARRAYS = "a file of arrays. Load it in Python, and pass a dict of columns or an array [rows, columns]"
_ARCHIVE = "an archive. Unpack it first; one file may stay compressed, as .csv.gz"
_HINTS = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"), _SPREADSHEET),
    **dict.fromkeys((".sqlite", ".sqlite3", ".db", ".duckdb", ".mdb", ".accdb"), _DATABASE),
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".pt", ".pth"), _PICKLE),
    **dict.fromkeys((".sav", ".dta", ".sas7bdat", ".rds", ".rda", ".rdata"), _STATISTICS),
    **dict.fromkeys((".npy", ".npz", ".h5", ".hdf5", ".mat", ".safetensors"), _ARRAYS),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar"), _ARCHIVE),
    **dict.fromkeys((".orc", ".avro"), "a format that is not read here. Write it as Parquet"),
    ".json": "JSON. Write one object a line (jq -c '.[]' FILE > FILE.jsonl), and name it .jsonl",
    ".txt": "text of a kind that its name does not say. Name it .csv (comma, semicolon or |), .tsv (tab) or .jsonl",
    **dict.fromkeys((".html", ".htm", ".xml"), "a web page. Pass pandas.read_html(path)[0] in Python"),
}


@dataclass(frozen=True)
class TableFile:
    """What a file or a folder holds.

    Attributes:
        pairs: names and columns, of which two may have one name.
        lines: gives the line of each row, where it is made of lines.
        notes: what was found out of how it is written, in sentences.
        warnings: what seems to be wrong with it, in sentences.
    """

    pairs: Pairs
    lines: Lines | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_file(path: Path, text: TableConfig) -> TableFile:
    """The columns of a file or a folder.

    Raises:
        TableError: no such file, of no known kind, or unreadable; says what to do.
    """
    if path.is_dir():
        return TableFile(arrow_pairs(read_folder(path)))
    ending = _ending(path)
    if not path.is_file():
        raise TableError(f"{path}: {'not a file' if path.exists() else 'no such file'}.")
    try:
        if ending in PARQUET:
            return TableFile(arrow_pairs(read_parquet(path)))
        if ending in ARROW:
            return TableFile(arrow_pairs(read_arrow(path)))
        file = open_text(path, text.encoding)
        if ending in _DELIMITED:
            found = read_delimited(file, text, _DELIMITED[ending])
            return TableFile(list(found.columns), found.lines, found.notes, found.warnings)
        objects, numbers = read_json_lines(file)
        return TableFile([(n, column_data.from_objects(cells)) for n, cells in objects.items()], lambda: numbers)
    except (pa.ArrowException, OSError, UnicodeError) as error:  # names of columns, too, may not be UTF-8
        raise TableError(f"{path} cannot be read: {error}") from error


def arrow_pairs(table: pa.Table) -> Pairs:
    """Names and columns of an Arrow table, of which two may have one name."""
    return [
        (name, column_data.from_arrow(column)) for name, column in zip(table.column_names, table.columns, strict=True)
    ]


def _ending(path: Path) -> str:
    """The ending that says what a file holds: `.csv` of `a.csv.gz`.

    Raises:
        TableError: of no known kind.
    """
    last = path.suffix.lower()
    inner = PurePath(path.stem).suffix.lower() if last in COMPRESSED else last
    if inner in _ENDINGS and (inner == last or inner in (*_DELIMITED, *_JSON_LINES)):
        return inner
    if inner in _ENDINGS:
        raise TableError(f"{path}: decompress it first; {inner} is compressed inside.")
    if inner in _HINTS:
        raise TableError(f"{path}: {_HINTS[inner]}.")
    raise TableError(
        f"{path}: a table's name ends with one of {', '.join(_ENDINGS)}; those of text may be compressed, "
        f"{', '.join(COMPRESSED)}.{did_you_mean(inner, _ENDINGS)}"
    )
