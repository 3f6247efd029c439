"""Reads JSON lines: one object a line, mixed types kept as they are."""

from __future__ import annotations

import json

from polymodal.data.tables.textfile import TextFile
from polymodal.errors import TableError


def read_json_lines(file: TextFile) -> tuple[dict[str, list[object]], list[int]]:
    """The columns of a JSON lines file, in the order in which keys first appear, and the line of each row.

    A key that a row lacks is a missing cell. Blank lines are skipped.

    Raises:
        TableError: a line that is not in its encoding, not JSON, not an object, or names a key twice; with the line.
    """
    records: list[dict[str, object]] = []
    lines: list[int] = []
    with file.open(newline="\n") as text:
        for number, line in enumerate(text, 1):
            if (reason := file.reason(line, number)) is not None:
                raise TableError(reason)
            if line.strip():
                records.append(_record(line, f"{file.path}, line {number}"))
                lines.append(number)
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}, lines


def _record(line: str, where: str) -> dict[str, object]:
    try:
        record = json.loads(line, object_pairs_hook=lambda pairs: _unique(pairs, where))
    except TableError:  # of `_unique`; it is a ValueError too
        raise
    except ValueError as error:
        raise TableError(f"{where}: not JSON: {error}.") from error
    except RecursionError as error:
        raise TableError(f"{where}: JSON nested too deep.") from error
    if not isinstance(record, dict):
        raise TableError(f'{where}: expected an object such as {{"text": "..."}}, got {type(record).__name__}.')
    return record


def _unique(pairs: list[tuple[str, object]], where: str) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise TableError(f"{where}: key {', '.join(map(repr, twice))} appears more than once.")
    return record
