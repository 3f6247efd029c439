"""Categories: a few words or codes that come again and again; each becomes a number of its own."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from pydantic import ConfigDict, Field

from polymodal.config import LimitsConfig
from polymodal.errors import UnreadableCellError
from polymodal.types import Cells, Recognition, Sample

UNSEEN = 0  # the code of every category that the training rows do not hold, or hold too rarely
LONGEST_NAME = 1_000  # characters

_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class CategoryConfig:
    """Settings of a category column.

    Attributes:
        max_categories: so many of the most frequent ones get a code of their own.
        min_count: rarer ones than this do not.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    max_categories: Annotated[int, Field(ge=1)] = 1_000
    min_count: Annotated[int, Field(ge=1)] = 1


class Category:
    """Reads strings, numbers, booleans and dates as a name, stored as UTF-8.

    One category has one name: "1", 1 and 1.0 are "1"; True is "true"; outer white space goes, letters become NFC, lone
    surrogates U+FFFD. Code 0 is reserved for what training did not see; the others count from 1, the most frequent
    first. A blank string is a missing cell (an empty array).
    """

    Config: ClassVar[type] = CategoryConfig
    group: ClassVar[str | None] = "table"
    media: ClassVar[bool] = False
    num_features: ClassVar[int] = 1

    def __init__(self, config: CategoryConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.categories: tuple[str, ...] = tuple((statistics or {}).get("categories", ()))
        self._codes = {name.encode(): code for code, name in enumerate(self.categories, start=UNSEEN + 1)}

    @property
    def cardinality(self) -> int:
        """Number of codes, the reserved one included."""
        return 1 + len(self.categories)

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """Booleans; whole numbers with few values; short strings that repeat."""
        num_cells = len(sample.values)
        if not num_cells:
            return None
        if all(isinstance(value, bool | np.bool_) for value in sample.values):
            return Recognition(0.95, f"all {num_cells} sampled cells are true or false")
        named = [_name(value) for value in sample.values if isinstance(value, _SCALARS)]
        repeats = f"{sample.distinct} different values in {sample.present} cells"
        if sum(map(_is_whole, named)) >= 0.95 * num_cells:
            few = sample.distinct <= 10 and sample.distinct <= 0.05 * sample.present
            return Recognition(0.6, f"whole numbers, only {repeats}") if few else None
        strings = [value for value, head in zip(sample.values, sample.heads, strict=True)
                   if isinstance(value, str) and head is None]  # fmt: skip
        if 2 * len(strings) < num_cells:
            return None
        words = sum(len(value.split()) for value in strings) / len(strings)
        few = sample.distinct <= max(50, 0.05 * sample.present) and 2 * sample.distinct <= sample.present
        if not few or words > 5:
            return None
        return Recognition(0.6, f"only {repeats}, {words:.1f} words long on average")

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:  # noqa: ARG003
        """What is declared suits every column."""
        return {}

    def read(self, cell: object) -> UInt8[np.ndarray, " bytes"]:
        """The category's name in UTF-8."""
        if not isinstance(cell, _SCALARS):
            raise UnreadableCellError(f"not a category: a cell of type {type(cell).__name__}")
        name = _name(cell)
        if len(name) > LONGEST_NAME:
            raise UnreadableCellError(f"not a category: {len(name)} characters, at most {LONGEST_NAME} make a name")
        return np.frombuffer(name.encode(), dtype=np.uint8)

    def remark(self, cell: object) -> str | None:  # noqa: ARG002
        """Nothing: another spelling of a category is the same category."""
        return None

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """`categories`, in the order of their codes: the most frequent first, equals by name."""
        counts = Counter(array.tobytes().decode() for array in arrays if array.size)
        frequent = [name for name, count in counts.items() if count >= self.config.min_count]
        frequent.sort(key=lambda name: (-counts[name], name))
        return {"categories": frequent[: self.config.max_categories]}

    def augment(self, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG002
        """The category as it is."""
        return array

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Int64 "B 1": the code; 0 where the category is unseen, and where the cell is missing (length 0)."""
        present = np.array([array is not None and array.size > 0 for array in arrays], dtype=np.int64)
        return Cells(torch.from_numpy(self._encode(arrays)[:, None]), torch.from_numpy(present))

    def simple_features(self, arrays: Sequence[np.ndarray | None]) -> Float32[np.ndarray, "B K"]:
        """One-hot over the known categories; zeros where unseen or missing."""
        return np.eye(self.cardinality, dtype=np.float32)[self._encode(arrays), UNSEEN + 1 :]

    def _encode(self, arrays: Sequence[np.ndarray | None]) -> np.ndarray:
        codes = [UNSEEN if array is None else self._codes.get(array.tobytes(), UNSEEN) for array in arrays]
        return np.array(codes, dtype=np.int64)


_SCALARS = (str, int, float, Decimal, date, time, np.bool_, np.integer, np.floating)


def _name(cell: object) -> str:
    """The one spelling of a category."""
    if isinstance(cell, str):
        paired = cell.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return unicodedata.normalize("NFC", paired.strip())
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell)).lower()
    if isinstance(cell, Decimal) and not cell.is_snan() and Decimal(repr(float(cell))) == cell:
        cell = float(cell)  # others have digits that a float would lose: two of them must not become one
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    if isinstance(cell, int) and cell.bit_length() > 10_000:  # Python prints none of more than 4,300 digits
        return hex(cell)  # and no name may be as long as this one
    return str(cell)


def _is_whole(name: str) -> bool:
    return bool(_WHOLE.fullmatch(name))
