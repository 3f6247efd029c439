"""How a table that is made of text is written, where it does not say so itself."""

from __future__ import annotations

import encodings.aliases
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from polymodal.config.node import Settings
from polymodal.errors import did_you_mean

# Python's names of them; `aliases` also holds what is no encoding of text, or is not on every system.
_ENCODINGS = frozenset(
    name
    for name in {*encodings.aliases.aliases.values(), "cp437", "koi8_u"}
    if not name.endswith("_codec") and name not in {"rot_13", "mbcs", "tactis", "utf_7"}
)
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}  # YAML has other uses for most of them


def _encoding(name: str | None) -> str | None:
    """The one spelling of an encoding's name; a look-up in a table: the name is never imported."""
    if name is None:
        return None
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    plain = encodings.aliases.aliases.get(plain, plain)
    if plain not in _ENCODINGS:
        raise ValueError(f"no encoding of text is called so.{did_you_mean(plain, _ENCODINGS)}")
    return plain


def _delimiter(value: object) -> object:
    return _DELIMITERS.get(value, value) if isinstance(value, str) else value


class TableConfig(Settings):
    """How CSV, TSV and JSON lines are written, where they do not say so themselves.

    Attributes:
        encoding: of text that is not UTF-8 and starts with no byte order mark, such as `cp1252`; a file that is valid
            UTF-8 is read as that all the same. None: what is not UTF-8 is an error.
        delimiter: of CSV and TSV: `comma`, `semicolon`, `tab`, `pipe`, or any one character. None finds out which of
            the four it is in CSV, and is a tab in TSV.
        quote: what stands around cells that hold a delimiter; `none`: quotes are content.
        decimal: `comma` takes cells such as `1,5` for numbers.
    """

    encoding: Annotated[str | None, AfterValidator(_encoding)] = None
    delimiter: Annotated[Annotated[str, Field(pattern=r"^[^\r\n]$")] | None, BeforeValidator(_delimiter)] = None
    quote: Literal["double", "single", "none"] = "double"
    decimal: Literal["point", "comma"] = "point"

    @property
    def quote_character(self) -> str:
        """Empty where there is none."""
        return {"double": '"', "single": "'", "none": ""}[self.quote]
