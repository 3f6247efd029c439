"""What two words share that look the same, or differ only by marks around them: a key for words that may be one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_FORMS = ("<wide>", "<narrow>", "<compat>", "<font>", "<initial>", "<medial>", "<final>", "<isolated>")
_QUOTES = "\"'`\u00ab\u00bb\u201c\u201d\u201e\u201a\u2018\u2019"
_AROUND = re.compile(rf"^[{_QUOTES},;:\s]+(?=[^\W\d_])|(?<=[^\W\d_])[{_QUOTES}.,;:\s]+$")
_QUOTED = re.compile(rf"[{_QUOTES}](.*\w.*)[{_QUOTES}]")
_BEHIND_NUMBER = re.compile(r"(?<=[0-9])[.,;:]+$")
_ENCODINGS = ("cp1252", "latin-1")
_CYRILLIC = str.maketrans("АВЕЅІЈКМНОРСТУХаеѕіјорсух", "ABESIJKMHOPCTYXaesijopcyx")
_GREEK = str.maketrans(
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo"
)  # small ones that look the same are often signs of their own
_LATIN = {**_CYRILLIC, **_GREEK}


def as_usual_forms(word: str) -> str:
    """Ligatures and full-width letters as plain letters; powers, fractions and the like stay as they are."""
    if word.isascii():
        return word
    return "".join(
        unicodedata.normalize("NFKC", c) if unicodedata.decomposition(c).startswith(_FORMS) else c for c in word
    )


def without_marks(word: str) -> str:
    """Without control characters, and without quotes and points around the word.

    >>> without_marks("pos."), without_marks('"pos'), without_marks("C++")
    ('pos', 'pos', 'C++')
    """
    plain = "".join(c for c in word if c.isspace() or unicodedata.category(c) != "Cc").strip()
    quoted = _QUOTED.fullmatch(plain)
    return _BEHIND_NUMBER.sub("", _AROUND.sub("", quoted[1] if quoted else plain))


def rightly_decoded(word: str) -> str:
    """A word whose UTF-8 was read in an encoding of one byte a letter, as it was meant.

    >>> rightly_decoded("grÃ¼n"), rightly_decoded("grün")
    ('grün', 'grün')
    """
    for encoding in _ENCODINGS if not word.isascii() else ():
        try:
            return word.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return word


def in_latin_letters(word: str) -> str:
    """With Latin letters in the place of Cyrillic and Greek ones that look like them."""
    return word if word.isascii() else word.translate(_LATIN)


STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("only by the form of letters, such as ligatures or full-width ones", as_usual_forms),
    ("only by points, quotes or control characters", without_marks),
    ("only by text that was decoded wrongly", rightly_decoded),
    ("only by letters of another alphabet that look the same", in_latin_letters),
)
"""How words differ, in words that follow "classes that differ", and what makes such words equal, after those before."""
