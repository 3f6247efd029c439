"""Categories: a few repeating words or codes, each encoded as an integer."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from pydantic import Field

from polymodal.codecs import previews
from polymodal.codecs.blanks import trimmed
from polymodal.codecs.numerals import is_boolean, is_plain
from polymodal.config.node import settings
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality, Recognition, Sample
from polymodal.types import Cells

UNSEEN = 0  # the code of every category that the training rows do not hold, or hold too rarely
LONGEST_NAME = 1_000  # characters

_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")


@settings
class CategoryConfig:
    """Settings of a category column.

    Attributes:
        max_categories: so many of the most frequent ones get a code of their own.
        min_count: rarer ones than this do not.
        missing: what a missing cell becomes: `leave` keeps it missing, for which the model has a learned vector;
            `mode` is the commonest category of the training rows, `constant` the category of `value`.
        value: what `constant` fills in; a category of its own.
    """

    max_categories: Annotated[int, Field(ge=1)] = 1_000
    min_count: Annotated[int, Field(ge=1)] = 1
    missing: Literal["leave", "mode", "constant"] = "leave"
    value: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=r"\S")] = "missing"


class Category(Modality):
    """Reads strings, numbers, booleans and dates as a name, stored as UTF-8.

    One category has one name: "1", 1 and 1.0 are "1"; True and "True" are "true"; outer white space goes, letters
    become NFC, lone surrogates U+FFFD. Code 0 is reserved for what training did not see; the others count from 1, the
    most frequent first. A blank string is a missing cell (an empty array).
    """

    Config: ClassVar[type] = CategoryConfig
    group: ClassVar[str | None] = "table"
    num_features: ClassVar[int] = 1

    def __init__(self, config: CategoryConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.categories: tuple[str, ...] = tuple((statistics or {}).get("categories", ()))
        self.cardinality = 1 + len(self.categories)  # number of codes, the reserved one included
        self.fill: str | None = (statistics or {}).get("fill")
        self._codes: dict[bytes, int] = {}
        for code, name in enumerate(self.categories, start=UNSEEN + 1):
            self._codes.setdefault(_name(name).encode(), code)  # earlier versions kept the case of truth values

    @property
    def verbatim(self) -> bool:
        """Whether a category such as "1.0" would be another, "1", once it is a number."""
        return any(is_plain(name) and _name(float(name)) != name for name in self.categories)

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """Booleans; whole numbers with few values; short strings that repeat."""
        num_cells = len(sample.values)
        fractions = sum(type(value) is float and not value.is_integer() for value in sample.values)
        if not num_cells or (sample.only_numbers and fractions > 0.05 * num_cells):
            return None
        if all(isinstance(value, bool | np.bool_) for value in sample.values):
            return Recognition(0.95, f"all {num_cells} sampled cells are true or false")
        named = [_name(value) for value in sample.values if isinstance(value, _SCALARS)]
        repeats = f"{sample.distinct} different values in {sample.present} cells"
        if sum(bool(_WHOLE.fullmatch(name)) for name in named) >= 0.95 * num_cells:
            few = sample.distinct <= 10 and sample.distinct <= 0.05 * sample.present
            return Recognition(0.6, f"whole numbers, only {repeats}") if few else None
        scalars = [value for value, head in zip(sample.values, sample.heads, strict=True)
                   if isinstance(value, _SCALARS) and head is None]  # fmt: skip
        strings = [_name(value) for value in scalars]  # beside words, numbers are words too
        if 2 * len(strings) < num_cells or not any(isinstance(value, str) for value in scalars):
            return None
        words = sum(len(value.split()) for value in strings) / len(strings)
        few = sample.distinct <= max(50, 0.05 * sample.present) and 2 * sample.distinct <= sample.present
        if not few or words > 5:
            return None
        return Recognition(0.6, f"only {repeats}, {words:.1f} words long on average")

    def read(self, cell: object) -> UInt8[np.ndarray, " bytes"]:
        if not isinstance(cell, _SCALARS):
            raise UnreadableCellError(f"not a category: a cell of type {type(cell).__name__}")
        name = _name(cell)
        if len(name) > LONGEST_NAME:
            raise UnreadableCellError(f"not a category: {len(name)} characters, at most {LONGEST_NAME} make a name")
        return np.frombuffer(name.encode(), dtype=np.uint8)

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """`categories`, in the order of their codes: the most frequent first, equals by name; `fill` if asked for."""
        counts = Counter(array.tobytes().decode() for array in arrays if array.size)
        frequent = [name for name, count in counts.items() if count >= self.config.min_count]
        frequent.sort(key=lambda name: (-counts[name], name))
        known = frequent[: self.config.max_categories]
        if self.config.missing == "constant":
            fill = _name(self.config.value)
            return {"categories": known if fill in known else [*known, fill], "fill": fill}
        fills = self.config.missing == "mode" and known
        return {"categories": known, "fill": known[0]} if fills else {"categories": known}

    def repair(self, array: np.ndarray | None) -> tuple[str, None, str] | None:
        """The category that stands in for a missing one."""
        absent = array is None or not array.size
        return ("fill", None, self.fill) if absent and self.fill is not None else None

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Int64 "B 1": the code; 0 where the category is unseen, and where the cell is missing (length 0)."""
        filled = self.fill is not None
        present = np.array([filled or (array is not None and array.size > 0) for array in arrays], dtype=np.int64)
        return Cells(torch.from_numpy(self._encode(arrays)[:, None]), torch.from_numpy(present))

    def handcrafted_features(self, arrays: Sequence[np.ndarray | None]) -> Float32[np.ndarray, "B K"]:
        """One-hot over the known categories; zeros where unseen or missing."""
        return np.eye(self.cardinality, dtype=np.float32)[self._encode(arrays), UNSEEN + 1 :]

    def preview(self, cell: object) -> str:
        return previews.words(self.read(cell).tobytes().decode())

    def _encode(self, arrays: Sequence[np.ndarray | None]) -> np.ndarray:
        fill = (self.fill or "").encode()
        names = [array.tobytes() if array is not None and array.size else fill for array in arrays]
        codes = [self._codes.get(name, UNSEEN) for name in names]
        return np.array(codes, dtype=np.int64)


_SCALARS = (str, int, float, Decimal, date, time, np.bool_, np.integer, np.floating)


def _name(cell: object) -> str:
    """The one spelling of a category."""
    if type(cell) is float:
        return str(int(cell)) if cell.is_integer() else str(cell)
    if isinstance(cell, str):
        paired = cell.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        name = unicodedata.normalize("NFC", trimmed(paired))
        return name.lower() if is_boolean(name) else name
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell)).lower()
    if isinstance(cell, Decimal) and not cell.is_snan() and Decimal(repr(float(cell))) == cell:
        cell = float(cell)  # others have digits that a float would lose: two of them must not become one
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    if isinstance(cell, int) and cell.bit_length() > 10_000:  # Python prints none of more than 4,300 digits
        return hex(cell)  # and no name may be as long as this one
    return str(cell)
