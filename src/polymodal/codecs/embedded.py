"""Media that a cell holds as text: a `data:` URL, base64, hexadecimal digits, or bytes as Python prints them.

Base64 and digits are known by what they decode to, the start of a picture, recording or video; any other text is none.
"""

from __future__ import annotations

import ast
import base64
import binascii
import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from polymodal.codecs import sniffing as formats
from polymodal.errors import UnreadableCellError

_HEAD = 1_024  # bytes that are decoded to see what they start as
_SHORTEST = 40  # characters of base64 or digits
_MEDIA = {"image", "audio", "video", "photograph", "recording", "film"}
_DATA_URL = re.compile(r"(data:[^,]{0,400}|(?:[\w.+-]+/[\w.+-]+;)?base64),", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\r\n]+={0,2}\s*")
_HEX = re.compile(r"(?:\\x|0x)?((?:[0-9a-fA-F]{2})+)")
_ESCAPE = r"\\(?:x[0-9a-fA-F]{2}|[\\'\"nrtabfv0])"
_PRINTED = {quote: re.compile(rf"[bB]{quote}(?:[^\\{quote}\r\n]|{_ESCAPE})*{quote}", re.ASCII) for quote in "'\""}
_URL_SAFE = str.maketrans("-_", "+/", "\r\n")


class _Writing(NamedTuple):
    """A way to write bytes as text.

    Attributes:
        name: for messages.
        decode: a text that begins so; raises ValueError where it goes on otherwise.
        characters: that one byte takes, at least.
    """

    name: str
    decode: Callable[[str], bytes]
    characters: float


def head(cell: str) -> bytes | None:
    """The first bytes of the picture, recording or video that a text holds; None for a text that holds none.

    >>> head("R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")[:6]
    b'GIF89a'
    """
    text = _unwrapped(cell[: 8 * _HEAD].lstrip())
    if (writing := _writing(text)) is None:
        return None
    try:
        start = writing.decode(text.rstrip() if len(cell) <= 8 * _HEAD else _cut(text))[:_HEAD]
    except (ValueError, SyntaxError):
        return None
    found = formats.sniff(start)
    return start if found is not None and found.family in _MEDIA else None


def content(cell: str, limit: int) -> bytes | None:
    """The bytes that a text holds, at most `limit`; None for a text that holds no media.

    Raises:
        UnreadableCellError: too many bytes, found before they are decoded; or the text does not go on as it begins.
    """
    text = _unwrapped(cell.strip())
    writing = _writing(text[: 8 * _HEAD])
    if writing is None or (head(text) is None and not _DATA_URL.match(text)):
        return None
    if len(text) * (1 / writing.characters) > limit + _HEAD:
        raise UnreadableCellError(f"more bytes, as {writing.name}, than the limit of {limit:,} (limits.bytes)")
    try:
        return writing.decode(text)
    except (ValueError, SyntaxError, MemoryError) as error:
        raise UnreadableCellError(f"damaged: it begins as {writing.name}, but does not go on so") from error


def _writing(text: str) -> _Writing | None:
    """How a text is written, by its first characters."""
    if found := _DATA_URL.match(text):
        as_base64 = found[1].lower().replace(" ", "").endswith("base64")
        return _Writing("a data: URL", _of_base64_url if as_base64 else _of_plain_url, 4 / 3 if as_base64 else 1)
    if text[:2] in {"b'", 'b"'}:
        return _Writing("bytes that Python printed", _of_printed, 1)
    if len(text) < _SHORTEST:
        return None
    if _HEX.match(text[:_SHORTEST]) and _HEX.fullmatch(text[: 2 + len(text[2:_SHORTEST]) // 2 * 2]):
        return _Writing("hexadecimal digits", _of_hex, 2)
    return _Writing("base64", _of_base64, 4 / 3) if _BASE64.fullmatch(text[:_SHORTEST]) else None


def _unwrapped(text: str) -> str:
    """What stands in `bytearray(...)`, or in quotes as JSON writes them; any other text as it is."""
    if text[:1] in ("'", '"'):
        return text[1:].rstrip().removesuffix(text[0]).replace("\\/", "/")
    return text.removeprefix("bytearray(").rstrip().removesuffix(")") if text.startswith("bytearray(b") else text


def _cut(text: str) -> str:
    """The start of a text that was cut, ended so that it can be decoded by itself."""
    if text[:2] in {"b'", 'b"'}:
        return re.sub(r"\\(x[0-9a-fA-F]?)?$", "", text) + text[1]
    start = match.end() if (match := _DATA_URL.match(text)) else 2 if text[:2] in {"0x", "\\x"} else 0
    body = re.sub(r"[\r\n]+|%[0-9a-fA-F]?$", "", text[start:])
    return text[:start] + body[: len(body) // 4 * 4]


def _of_base64(text: str) -> bytes:
    if not _BASE64.fullmatch(text):
        raise ValueError("other characters")
    plain = text.rstrip().translate(_URL_SAFE).rstrip("=")
    if len(plain) % 4 == 1:
        raise ValueError("a character is missing")
    return base64.b64decode(plain + "=" * (-len(plain) % 4))


def _of_base64_url(text: str) -> bytes:
    body = text[text.index(",") + 1 :]
    return _of_base64(unquote_to_bytes(body).decode("latin-1") if "%" in body else body)


def _of_plain_url(text: str) -> bytes:
    return unquote_to_bytes(text[text.index(",") + 1 :])


def _of_hex(text: str) -> bytes:
    found = _HEX.fullmatch(text)
    if found is None:
        raise ValueError("other characters")
    return binascii.unhexlify(found[1])


def _of_printed(text: str) -> bytes:
    if not _PRINTED[text[1]].fullmatch(text):
        raise ValueError("other characters")
    value = ast.literal_eval(text)
    assert isinstance(value, bytes)
    return value
