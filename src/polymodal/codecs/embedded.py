"""Media that a cell holds as text: a `data:` URL, base64, hexadecimal digits, numbers, or bytes as Python prints them.

Base64, digits and numbers are known by what they decode to, the start of a picture, recording or video; any other text
is none. Printed bytes may be base64, too.
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
from polymodal.codecs.wrappings import unwrapped
from polymodal.errors import UnreadableCellError

_HEAD = 1_024  # bytes that are decoded to see what they start as
_SHORTEST = 40  # characters of base64 or digits
_MEDIA = {"image", "audio", "video", "photograph", "recording", "film"}
_DATA_URL = re.compile(r"(data:[^,]{0,400}|(?:[\w.+-]+/[\w.+-]+;)?base64),", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\r\n]+={0,2}\s*")
_HEX = re.compile(r"(?:\\x|0x)?((?:[0-9a-fA-F]{2})+)")
_ESCAPE = r"\\(?:x[0-9a-fA-F]{2}|[\\'\"nrtabfv0])"
_PRINTED = {quote: re.compile(rf"[bB]{quote}(?:[^\\{quote}\r\n]|{_ESCAPE})*{quote}", re.ASCII) for quote in "'\""}
_NUMBERS = re.compile(r"\[\s*[0-9]{1,3}(?:\s*,\s*[0-9]{1,3})*\s*\]")
_SURE = {formats.PNG, formats.JPEG, formats.GIF, formats.WEBP, formats.WAV, formats.FLAC, formats.OGG, formats.MATROSKA,
         formats.MP4}  # fmt: skip # that a list of numbers does not begin as by chance
_WORD = 20  # characters on average: as no words have; of those of base64 every 64th is a plus
_LINES = {60, 64, 72, 76, 80}  # characters of base64 on one
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
    cut = len(cell) > 8 * _HEAD
    text = unwrapped(cell[: 8 * _HEAD].strip(), cut=cut)
    if (writing := _writing(text)) is None:
        return None
    try:
        start = writing.decode(_cut(text) if cut else text)[:_HEAD]
        if writing.decode is _of_printed and not _is_media(start):
            start = _of_base64(_cut(start.decode("ascii")))
    except (ValueError, SyntaxError):
        return None
    sure = writing.decode is not _of_numbers or formats.sniff(start) in _SURE
    return start if sure and _is_media(start) else None


def content(cell: str, limit: int) -> bytes | None:
    """The bytes that a text holds, at most `limit`; None for a text that holds no media.

    Raises:
        UnreadableCellError: too many bytes, found before they are decoded; or the text does not go on as it begins.
    """
    text = unwrapped(cell.strip(), cut=False)
    writing = _writing(text[: 8 * _HEAD])
    if writing is None or (head(text) is None and not _DATA_URL.match(text)):
        return None
    if len(text) * (1 / writing.characters) > limit + _HEAD:
        raise UnreadableCellError(f"more bytes, as {writing.name}, than the limit of {limit:,} (limits.bytes)")
    try:
        found = writing.decode(text)
        return found if writing.decode is not _of_printed or _is_media(found) else _of_base64(found.decode("ascii"))
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
    if text[0] == "[":
        return _Writing("a list of bytes", _of_numbers, 2) if re.match(r"\[\s*[0-9]{1,3}\s*,", text) else None
    if _HEX.match(text[:_SHORTEST]) and _HEX.fullmatch(text[: 2 + len(text[2:_SHORTEST]) // 2 * 2]):
        return _Writing("hexadecimal digits", _of_hex, 2)
    return _Writing("base64", _of_base64, 4 / 3) if _BASE64.fullmatch(text[:_SHORTEST].replace(" ", "+")) else None


def _is_media(start: bytes) -> bool:
    found = formats.sniff(start)
    return found is not None and found.family in _MEDIA


def _cut(text: str) -> str:
    """The start of a text that was cut, ended so that it can be decoded by itself."""
    if text[:2] in {"b'", 'b"'}:
        return re.sub(r"\\(x[0-9a-fA-F]?)?$", "", text) + text[1]
    if text[0] == "[":
        return text[: text.rindex(",")] + "]" if "," in text else text
    start = match.end() if (match := _DATA_URL.match(text)) else 2 if text[:2] in {"0x", "\\x"} else 0
    body = _with_pluses(re.sub(r"[\r\n]+|%[0-9a-fA-F]?$", "", text[start:]))
    return text[:start] + body[: len(body) // 4 * 4]


def _of_numbers(text: str) -> bytes:
    if not _NUMBERS.fullmatch(text):
        raise ValueError("other characters")
    return bytes(map(int, text[1:-1].split(",")))


def _with_pluses(text: str) -> str:
    """Base64 in which blanks took the place of `+`, as from an address, or of line ends; any other text as it is."""
    blanks = text.count(" ")
    if not blanks or len(text) < _WORD * blanks:  # as in prose
        return text
    joined = text.replace(" ", "")
    as_lines = set(map(len, text.split(" ")[:-1])) < _LINES and (len(joined) % 4 == 0 or len(text) % 4 != 0)
    return joined if as_lines or "+" in text else text.replace(" ", "+")


def _of_base64(text: str) -> bytes:
    text = _with_pluses(text)
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
