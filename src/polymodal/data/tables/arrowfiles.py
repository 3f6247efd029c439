"""Reads tables that Arrow knows: Parquet and Arrow (Feather) files, and folders of them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from polymodal.data.tables.delimited import typed
from polymodal.errors import TableError

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc")

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_FOLDERS = {  # a file in a folder -> why reading the folder's Parquet files would be wrong, and what to do
    "_delta_log": "a Delta Lake table, which has outdated files in it; write its newest version as Parquet",
    "dataset_dict.json": "a saved DatasetDict; name the folder of one of its splits",
}


def read_parquet(path: Path) -> pa.Table:
    """One Parquet file.

    Raises:
        pa.ArrowException, OSError: damaged, or no Parquet.
    """
    return _checked(pq.ParquetFile(path).read())


def read_arrow(path: Path) -> pa.Table:
    """An Arrow IPC file, as Feather is since version 2, or an IPC stream. Mapped, so that it need not fit into memory.

    Raises:
        TableError: Feather version 1.
        pa.ArrowException, OSError: damaged, or no Arrow.
    """
    source = pa.memory_map(str(path))
    start = source.read(6)
    source.seek(0)
    if start[:4] == b"FEA1":
        raise TableError(f"{path}: Feather version 1, which is out of use. Write it again as version 2, or as Parquet.")
    is_file = start == b"ARROW1"
    return _checked((pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)).read_all())


def read_folder(folder: Path) -> pa.Table:
    """The files of a folder and its subfolders one under the other, in the order of their paths.

    Subfolders such as `split=train` become columns, typed as those of CSV are. Names that begin with `_` or `.` are
    passed over, as Spark and Hive do. A column that some files lack is missing there.

    Raises:
        TableError: no such files, files of both kinds, or files that do not go together.
        pa.ArrowException, OSError: one of them is damaged; the message of the first kind names it.
    """
    paths = _files(folder)
    if not paths:
        names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in (".csv", ".tsv", ".jsonl"))
        instead = f"Name a file in it, such as {names[0]}." if names else "Name the file that holds the table."
        raise TableError(f"{folder}: a folder without Parquet or Arrow files. {instead}")
    endings = {path.suffix.lower() in PARQUET for path in paths}
    if len(endings) > 1:
        raise TableError(f"{folder}: holds both Parquet and Arrow files. Name one of them, or part them.")
    partitions = [_partition(path.relative_to(folder)) for path in paths]
    keys = list(partitions[0])
    tables = []
    for path, partition in zip(paths, partitions, strict=True):
        if list(partition) != keys:
            raise TableError(
                f"{path}: in subfolders of {', '.join(partition) or 'no key'}, but {paths[0]} is in ones of "
                f"{', '.join(keys) or 'no key'}. Put all files at one depth."
            )
        tables.append(_one(path, partition))
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise TableError(f"{folder}: its files do not go together: {error}. Give their columns one type.") from error
    for key in (key for key in keys if table.schema.field(key).type == pa.string()):
        place = table.column_names.index(key)
        table = table.set_column(place, key, typed(table.column(place)))
    return table


def _one(path: Path, partition: dict[str, str | None]) -> pa.Table:
    try:
        table = read_parquet(path) if path.suffix.lower() in PARQUET else read_arrow(path)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise TableError(f"{path} cannot be read: {error}") from error
    for key, value in partition.items():
        if key not in table.column_names:
            table = table.append_column(key, pa.repeat(pa.scalar(value, pa.string()), len(table)))
        elif set(map(str, table.column(key).unique().to_pylist())) != {str(value)}:  # polars repeats it in the file
            raise TableError(
                f"{path}: its column {key!r} does not say {value!r}, as its folder does; rename one of them."
            )
    return table


def _files(folder: Path) -> list[Path]:
    found = []
    for where, folders, names in os.walk(folder):
        for name, what in _FOLDERS.items():
            if name in folders or name in names:
                raise TableError(f"{where}: {what}.")
        passed = ("_", ".", "cache-") if "state.json" in names else ("_", ".")  # `datasets` keeps what it computed
        folders[:] = [name for name in folders if not name.startswith(passed)]
        found += [Path(where, name) for name in names if not name.startswith(passed)]
    return sorted(path for path in found if path.suffix.lower() in (*PARQUET, *ARROW))


def _partition(path: Path) -> dict[str, str | None]:
    """What the folders `key=value` on the way to a file say."""
    pairs = [part.partition("=") for part in path.parts[:-1]]
    return {unquote(key): None if value == _NO_VALUE else unquote(value) for key, equals, value in pairs if equals}


def _checked(table: pa.Table) -> pa.Table:
    """The table, looked through: a wrong offset in a damaged file would end the process when its cell is read."""
    table.validate(full=True)
    return table
