"""How a table holds a column: as Arrow where Arrow can hold the cells, else as Python objects."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from polymodal.errors import TableError

_WIDEST = 40  # characters of a cell in a message

ColumnData: TypeAlias = pa.ChunkedArray | np.ndarray  # an array is one-dimensional, of objects


def from_sequence(values: object, where: str) -> ColumnData:
    """A column from a sequence of cells: list, array or tensor of any shape, Arrow array, pandas or polars Series.

    Raises:
        TableError: not a sequence, or of a type that Arrow does not know; says `where`.
    """
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if isinstance(values, pa.ChunkedArray | pa.Array):
        return from_arrow(values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values]))
    if pandas is not None and isinstance(values, pandas.Series):
        return from_objects(values) if values.dtype == object else _arrow_or_objects(values)
    if polars is not None and isinstance(values, polars.Series):  # in Arrow, its objects would be memory addresses
        if values.dtype == polars.Object:
            return from_objects(values.to_list())
        try:
            return from_arrow(pa.chunked_array(values))
        except pa.ArrowException as error:  # a type of polars alone, such as Int128
            raise TableError(f"{where}: cells that Arrow cannot hold: {error}. Cast them to another type.") from error
    if not isinstance(values, np.ndarray) and hasattr(values, "__array__"):  # the elements of a tensor are tensors
        values = np.asarray(values)
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype != object:
        return _arrow_or_objects(values)
    no_cells = isinstance(values, str | bytes | Mapping) or getattr(values, "ndim", 1) == 0
    if no_cells or not hasattr(values, "__len__") or not isinstance(values, Iterable):
        raise TableError(f"{where}: expected a sequence of cells, got {type(values).__name__}.")
    return from_objects(values)


def from_arrow(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in types of which Arrow can take rows: it cannot of views, which polars gives.

    Of an extension type, such as the arrays of `datasets`, what it is stored as.
    """
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    plain = _plain_type(column.type)
    return column if plain == column.type else column.cast(plain)


def from_objects(values: Iterable[object]) -> np.ndarray:
    """A column of Python objects."""
    return np.fromiter(values, dtype=object)  # np.array would stack arrays of equal shape


def cells(column: ColumnData) -> Iterator[object]:
    """The cells as Python objects; None where null, NaN, NaT or the empty string.

    Lists of numbers become arrays; media as `datasets` stores them, `{bytes, path}`, become bytes, or else a path.
    """
    if isinstance(column, np.ndarray):
        return map(_plain, column)
    if is_scalar(column.type):  # the cells of most tables: one by one through `_plain` they would cost ten times that
        objects = column.to_pylist()
        if pa.types.is_floating(column.type):
            return (None if cell != cell else cell for cell in objects)  # noqa: PLR0124 - NaN alone differs from itself
        return (cell or None for cell in objects) if is_string(column.type) else iter(objects)
    return map(_plain, _python_objects(column))


def is_scalar(kind: pa.DataType) -> bool:
    """Whether Arrow holds cells of Python's str, int, float or bool."""
    whole = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return is_string(kind) or bool(whole or pa.types.is_float32(kind) or pa.types.is_float64(kind))


def is_numeric(kind: pa.DataType) -> bool:
    """Whether Arrow holds numbers that are float64 or become it as Python's would."""
    return bool(pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind))


def floats(column: pa.ChunkedArray) -> Float[np.ndarray, " N"]:
    """A column of numbers as float64, NaN where missing; integers that it has no room for are rounded."""
    numbers = column if pa.types.is_float64(column.type) else column.cast(pa.float64(), safe=False)
    if not numbers.null_count:
        return _array_of(numbers).astype(np.float64, copy=False)
    values = np.full(len(numbers), np.nan)
    values[_array_of(pc.indices_nonzero(numbers.is_valid()))] = _array_of(numbers.drop_null())
    return values


def is_string(kind: pa.DataType) -> bool:
    """Whether Arrow holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def present_rows(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers of the rows where `cells` gives something else than None, ascending, of a column of scalars."""
    if pa.types.is_floating(column.type):
        return np.flatnonzero(~np.isnan(floats(column)))
    return _array_of(pc.indices_nonzero(pc.binary_length(column) if is_string(column.type) else pc.is_valid(column)))


def num_distinct(column: pa.ChunkedArray) -> int:
    """How many different cells `cells` gives, of a column of scalars."""
    if pa.types.is_floating(column.type):
        values = floats(column)
        return len(np.unique(values[~np.isnan(values)]))  # to which -0.0 and 0.0 are one, as to Python
    empty = is_string(column.type) and len(present_rows(column)) < pc.count(column).as_py()
    return int(pc.count_distinct(column).as_py()) - empty


def _array_of(numbers: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Numbers without gaps as NumPy has them; Arrow's own conversion imports pandas, which takes half a second."""
    chunks = numbers.chunks if isinstance(numbers, pa.ChunkedArray) else [numbers]
    return np.concatenate([np.from_dlpack(chunk) for chunk in chunks]) if chunks else np.empty(0)


def take(column: ColumnData, rows: np.ndarray) -> ColumnData:
    """The cells of some rows, int64, by number, in the order given."""
    if isinstance(column, np.ndarray):
        return column[rows]
    # pa.array would import pandas, which takes longer than to read a table
    buffer = pa.py_buffer(np.ascontiguousarray(rows, dtype=np.int64))
    return column.take(pa.Array.from_buffers(pa.int64(), len(rows), [None, buffer]))


def as_text(cell: object) -> str:
    """What `str` gives; hexadecimal for integers of more than the 4,300 digits that Python prints."""
    return hex(cell) if isinstance(cell, int) and cell.bit_length() > 10_000 else str(cell)


def shown(cell: object) -> str:
    """A cell for a message: text in quotes, anything else as people write it; none that is missing.

    >>> shown("a"), shown(1.5), shown(None)
    ("'a'", '1.5', 'an empty cell')
    """
    if cell is None:
        return "an empty cell"
    text = repr(cell) if isinstance(cell, str | bytes) else as_text(cell)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        plain = _plain_type(kind.value_type)
        return kind if plain == kind.value_type else pa.large_list(plain)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_type(kind.value_type), kind.list_size)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain_type(field.type)) for field in kind])
    return kind


def _arrow_or_objects(values: Iterable[object]) -> ColumnData:
    try:
        column = pa.array(values, from_pandas=True)
    except (pa.ArrowException, UnicodeError):  # mixed categories, lone surrogates
        return from_objects(values)
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def _python_objects(column: pa.ChunkedArray) -> list[object]:
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)  # Python's datetime ends at microseconds
    elif pa.types.is_duration(kind) and kind.unit == "ns":
        column = column.cast(pa.duration("us"), safe=False)
    if _is_list(kind) and _is_number(kind.value_type):
        return [_vector(cell) for cell in column]
    try:
        objects: list[object] = column.to_pylist()
    except OverflowError:  # a date that Python does not have; as text it becomes a reject
        objects = [_object(scalar) for scalar in column]
    leaf = kind
    while _is_list(leaf):
        leaf = leaf.value_type
    if leaf is not kind and _is_number(leaf):
        return [_array(cell, leaf.to_pandas_dtype()) for cell in objects]
    return objects


def _object(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except OverflowError:
        return str(scalar.cast(pa.string()))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _vector(cell: pa.Scalar) -> object:
    """A list of numbers -> array over Arrow's own memory: cells of 20,000 numbers never become Python's floats."""
    values = cell.values
    if values is None:
        return None
    if values.null_count and pa.types.is_integer(values.type):
        return values.to_pylist()
    return values.to_numpy(zero_copy_only=False)


def _array(cell: object, dtype: type) -> object:
    """Nested numbers -> array; as they are where they are ragged or have gaps."""
    try:
        return None if cell is None else np.array(cell, dtype=dtype)
    except (ValueError, TypeError):
        return cell


def _plain(cell: object) -> object:
    """A cell without NumPy's scalar types; None where it is missing."""
    if isinstance(cell, np.datetime64):
        cell = cell.astype("M8[us]").item()
    elif isinstance(cell, np.timedelta64):
        cell = cell.astype("m8[us]").item()
    elif isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, float):
        return None if cell != cell else cell  # noqa: PLR0124 - NaN alone differs from itself
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, dict):
        return _medium(cell)
    if isinstance(cell, list) and cell and isinstance(cell[0], dict):
        return [_medium(item) if isinstance(item, dict) else item for item in cell]
    return None if type(cell).__name__ in ("NaTType", "NAType") else cell  # pandas', without importing it


def _medium(cell: dict[str, object]) -> object:
    """The content or the path of a medium; any other dict as it is."""
    if cell.keys() != {"bytes", "path"} or not isinstance(cell["bytes"], bytes | None):
        return cell
    return cell["path"] or None if cell["bytes"] is None else cell["bytes"]
