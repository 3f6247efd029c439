"""Takes away what programs put around bytes that they write as text: quotes, `bytearray(...)`, `{bytes, path}`."""

from __future__ import annotations

import re

_NO_PATH = r"(?:None|null|'[^'\\]*'|\"[^\"\\]*\")"
_KEY = r"\s*['\"]{}['\"]\s*:\s*"
# {'bytes': b'...', 'path': None}, as Python or, with base64, JSON writes a row of `datasets.Image` and `datasets.Audio`
_DICT = re.compile(rf"\{{(?:{_KEY.format('path')}{_NO_PATH}\s*,)?{_KEY.format('bytes')}(?=[bB]?['\"])")
_DICT_END = re.compile(rf"(?:\s*,{_KEY.format('path')}{_NO_PATH})?\s*\}}$")
_DICT_PATH = re.compile(
    rf"\{{(?:{_KEY.format('bytes')}(?:None|null)\s*,)?{_KEY.format('path')}(['\"])(?P<path>[^'\"\\]+)\1"
    rf"(?:\s*,{_KEY.format('bytes')}(?:None|null))?\s*\}}"
)
_LONGEST_PATH = 4_096  # characters


def unwrapped(text: str, *, cut: bool) -> str:
    """The text inside; any other text as it is.

    Args:
        text: without blanks at its start.
        cut: only the beginning is there, so that what closes may be missing.
    """
    if found := _DICT.match(text):
        text = text[found.end() :].rstrip()
        if not cut:
            start = max(0, len(text) - _LONGEST_PATH)
            if (end := _DICT_END.search(text, start)) is None:
                return text
            text = text[: end.start()]
    if text[:1] in ("'", '"'):
        return text[1:].rstrip().removesuffix(text[0]).replace("\\/", "/")
    return text.removeprefix("bytearray(").rstrip().removesuffix(")") if text.startswith("bytearray(b") else text


def path_inside(text: str) -> str | None:
    """The path in a dict without bytes, as Hugging Face writes it; None for any other text.

    >>> path_inside("{'bytes': None, 'path': 'a/0.png'}")
    'a/0.png'
    """
    found = _DICT_PATH.fullmatch(text) if text[:1] == "{" and len(text) <= _LONGEST_PATH else None
    return None if found is None else found["path"]
