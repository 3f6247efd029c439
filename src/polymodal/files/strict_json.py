"""JSON from strangers: only what RFC 8259 and 64-bit numbers allow, and no key twice.

Python's own reader takes `NaN`, lets the last of two equal keys win, and builds integers of any length.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

MAX_DEPTH = 64


def parse(data: bytes) -> object:
    """The value that UTF-8 encoded JSON stands for.

    Raises:
        ValueError: not UTF-8, not JSON, a key twice in one object, NaN or infinity, an integer outside 64 bits, or
            nested deeper than `MAX_DEPTH`; says which.

    >>> parse(b'{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    """
    try:
        value: object = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    if _deeper_than(value, MAX_DEPTH):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    return value


def dump(value: object) -> bytes:
    """Readable JSON that `parse` takes.

    Raises:
        ValueError: the value holds NaN, infinity, or something else that `parse` refuses.
        TypeError: the value holds an object that JSON has no form for.
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=1) + "\n"
    data = text.encode("utf-8", errors="backslashreplace")  # a lone surrogate, which has no UTF-8, becomes its escape
    parse(data)
    return data


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"key {twice[:80]!r} appears twice")
    return values


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:  # length first: int() of a million digits is slow
        raise ValueError(f"integer {digits[:20]}... does not fit in 64 bits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"number {digits[:20]} is too large")
    return value


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _deeper_than(value: object, limit: int) -> bool:
    level = _containers([value])
    for _ in range(limit):
        level = _containers(child for node in level for child in (node.values() if isinstance(node, dict) else node))
    return bool(level)


def _containers(values: Iterable[object]) -> list[dict[str, object] | list[object]]:
    return [value for value in values if isinstance(value, dict | list)]
