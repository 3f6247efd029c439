"""Shows cells in print: short, on one line, safe on a terminal."""

from __future__ import annotations

import numpy as np

from polymodal.data.tables.column_data import as_text

_WIDEST = 24


def example(cell: object) -> str:
    """One cell in print: bytes and arrays by their size, text short and on one line."""
    if isinstance(cell, bytes | bytearray):
        return f"<{len(cell)} bytes>"
    if isinstance(cell, np.ndarray):
        return f"<{'×'.join(map(str, cell.shape))} {cell.dtype}>"
    text = printable(as_text(cell)[: 2 * _WIDEST])
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def printable(text: str) -> str:
    r"""Text that is safe on a terminal: control characters, direction marks and lone surrogates become escapes.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
