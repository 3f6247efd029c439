"""Reads JSON lines: one object a line, mixed types kept as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from polymodal.errors import TableError


def read_json_lines(path: Path) -> tuple[dict[str, list[object]], list[int]]:
    """The columns of a JSON lines file, in the order in which keys first appear, and the line of each row.

    A key that a row lacks is a missing cell. Blank lines are skipped.

    Raises:
        TableError: a line that is not UTF-8, not JSON, not an object, or names a key twice; with the line.
    """
    records: list[dict[str, object]] = []
    lines: list[int] = []
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if raw.strip():
                records.append(_record(raw, f"{path}, line {number}", first=number == 1))
                lines.append(number)
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}, lines


def _record(raw: bytes, where: str, *, first: bool) -> dict[str, object]:
    try:
        text = raw.decode("utf-8-sig" if first else "utf-8")
        record = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, where))
    except TableError:  # of `_unique`; it is a ValueError too
        raise
    except ValueError as error:
        raise TableError(f"{where}: not JSON: {error}.") from error
    except RecursionError as error:
        raise TableError(f"{where}: JSON nested too deep.") from error
    if not isinstance(record, dict):
        raise TableError(f'{where}: expected an object such as {{"text": "..."}}, got {type(record).__name__}.')
    return cast(dict[str, object], record)


def _unique(pairs: list[tuple[str, object]], where: str) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise TableError(f"{where}: key {', '.join(map(repr, twice))} appears more than once.")
    return record
