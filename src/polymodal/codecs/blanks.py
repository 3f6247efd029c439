"""Blanks around words, those of no width among them, which Python's `str.strip` leaves."""

from __future__ import annotations

NO_WIDTH = "\ufeff\u200b\u2060"  # byte order mark, zero-width space, word joiner


def trimmed(text: str) -> str:
    r"""Text without blanks around it, those of no width included.

    >>> trimmed(" \ufeffyes\u200b ")
    'yes'
    """
    text = text.strip()
    while text and (text[0] in NO_WIDTH or text[-1] in NO_WIDTH):
        text = text.strip(NO_WIDTH).strip()
    return text
