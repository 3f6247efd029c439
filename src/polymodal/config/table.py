"""How a table is read and cleaned: the nodes `table` and `clean` of a configuration."""

from __future__ import annotations

import encodings.aliases
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from polymodal.config.node import Settings
from polymodal.errors import did_you_mean

# Python's names of them; `aliases` also holds what is no encoding of text, or is not on every system.
_ENCODINGS = frozenset(
    name
    for name in {*encodings.aliases.aliases.values(), "cp437", "koi8_u"}
    if not name.endswith("_codec") and name not in {"rot_13", "mbcs", "tactis", "utf_7"}
)
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}  # YAML has other uses for most of them


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
    return DELIMITERS.get(value, value) if isinstance(value, str) else value


class TableConfig(Settings):
    r"""How CSV, TSV and JSON lines are written, where they do not say so themselves.

    Attributes:
        encoding: of text that is not UTF-8 and starts with no byte order mark, such as `cp1252`; a file that is valid
            UTF-8 is read as that all the same. None: what is not UTF-8 is an error.
        delimiter: of CSV and TSV: `comma`, `semicolon`, `tab`, `pipe`, or any one character. None finds out which of
            the four, or `^` or `~`, it is in CSV, and is a tab in TSV.
        quote: what stands around cells that hold a delimiter; `none`: quotes are content.
        decimal: `comma` takes cells such as `1,5` for numbers, `1,234` too. Without it, a column of which most
            cells can only be read so is read so all the same.
        escape: `backslash`: `\"` is a quote inside of a cell; `none`: only a doubled quote is.
        skip_lines: lines before the header that are passed over, such as a title.
        verbatim: columns whose cells stay text as they are written. A training adds those of which only the text tells
            the value, such as numbers with a decimal comma.
    """

    encoding: Annotated[str | None, AfterValidator(_encoding)] = None
    delimiter: Annotated[Annotated[str, Field(pattern=r"^[^\r\n]$")] | None, BeforeValidator(_delimiter)] = None
    quote: Literal["double", "single", "none"] = "double"
    decimal: Literal["point", "comma"] = "point"
    escape: Literal["none", "backslash"] = "none"
    skip_lines: int = Field(0, ge=0)
    verbatim: tuple[str, ...] = ()


class CleanConfig(Settings):
    """What is changed in the data before the model learns; nothing, unless asked. Each change is written down.

    Rows are dropped from training only; what fills or clips a cell is learned from the training rows and is the same at
    predict. A column's own settings go first: `columns.price.modality.missing=median`.

    Attributes:
        duplicates: `drop` learns from equal rows (every feature and the target) once, and not from rows that equal a
            test row.
        missing: `drop` takes training rows with a missing feature out; `mean` and `median` fill columns of numbers,
            `mode` (the commonest cell) and `constant` those of categories, too; other columns stay as they are.
        value: what `constant` fills in: a number fills columns of numbers, a word those of categories.
        outliers: of numbers, beyond 3 interquartile ranges from the quartiles of the training rows: `clip` moves them
            to that bound, `drop` takes their training rows out.
    """

    duplicates: Literal["keep", "drop"] = "keep"
    missing: Literal["leave", "drop", "mean", "median", "mode", "constant"] = "leave"
    value: float | str | None = None
    outliers: Literal["leave", "clip", "drop"] = "leave"

    @model_validator(mode="after")
    def _has_value(self) -> CleanConfig:
        if (self.missing == "constant") != (self.value is not None):
            raise ValueError("missing=constant and value go together: value is what is filled in")
        return self
