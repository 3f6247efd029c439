"""Tensors to and from the bytes of a safetensors file, every field of its header checked.

The format (github.com/huggingface/safetensors): 8 bytes, little-endian: length of the header; the header, JSON:
`{name: {"dtype", "shape", "data_offsets": [begin, end]}}`; the data. Its library lets a name appear twice, opens a file
by its path a second time after it was hashed, or copies every tensor of bytes; so reading is done here, and what was
hashed and checked is what is used. The tests hold both directions against the library.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor

from polymodal.files import streams, strict_json

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
MAX_HEADER = 100_000_000
MAX_DIMENSIONS = 64
_ORDER = [  # in which types are written: as safetensors does, so that each tensor is aligned
    torch.int64,
    torch.float64,
    torch.float32,
    torch.int32,
    torch.bfloat16,
    torch.float16,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]
_PREFIX = 8
_ALIGNMENT = 8


@dataclass(frozen=True)
class _Entry:
    """Where one tensor lies in the data, in bytes."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class TensorFile:
    """Content of a safetensors file, made piece by piece: no more than `streams.BLOCK` bytes are copied at a time.

    Its bytes are those of safetensors' own writer: larger types first, then by name. Tensors that share memory are
    written once each.
    """

    def __init__(self, tensors: Mapping[str, object]) -> None:
        """Looks at every tensor.

        Raises:
            ValueError: something that is not a dense tensor of one of `DTYPES`; says which.
        """
        checked = {name: _storable(name, value) for name, value in tensors.items()}
        self._tensors = dict(sorted(checked.items(), key=lambda item: (_ORDER.index(item[1].dtype), item[0])))
        self._head = _header(self._tensors)
        self.size = len(self._head) + sum(tensor.numel() * tensor.dtype.itemsize for tensor in self._tensors.values())

    def blocks(self) -> Iterator[bytes | memoryview]:
        """The header, then the tensors."""
        yield self._head
        buffer = torch.empty(streams.BLOCK, dtype=torch.uint8)  # one for all: blocks of their own fragment the heap
        for tensor in self._tensors.values():
            for piece in _pieces(tensor.detach()):
                block = buffer[: piece.numel() * piece.dtype.itemsize]
                block.view(piece.dtype).view(piece.shape).copy_(piece)
                yield block.numpy().data


def encode(tensors: Mapping[str, object]) -> bytes:
    """All bytes of a `TensorFile`, which raises the same."""
    return b"".join(map(bytes, TensorFile(tensors).blocks()))


def _storable(name: str, value: object) -> Tensor:
    if not isinstance(value, Tensor):
        raise ValueError(f"{name!r} is a {type(value).__name__}, not a tensor")
    if value.layout != torch.strided or value.dtype not in DTYPES.values():
        raise ValueError(f"tensor {name!r} is {value.dtype}, {value.layout}; only dense plain numbers are stored")
    return value


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    """Views of all of a tensor in order, each at most `streams.BLOCK` bytes."""
    size = tensor.numel() * tensor.dtype.itemsize
    if size <= streams.BLOCK:
        yield tensor
    elif rows := streams.BLOCK // (size // len(tensor)):
        yield from torch.split(tensor, rows)
    else:
        for row in tensor:
            yield from _pieces(row)


def _header(tensors: Mapping[str, Tensor]) -> bytes:
    """Length and JSON of the header, padded with spaces so that the data are aligned."""
    words = {dtype: word for word, dtype in DTYPES.items()}
    entries: dict[str, object] = {}
    position = 0
    for name, tensor in tensors.items():
        end = position + tensor.numel() * tensor.dtype.itemsize
        entries[name] = {"dtype": words[tensor.dtype], "shape": [*tensor.shape], "data_offsets": [position, end]}
        position = end
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // _ALIGNMENT) * _ALIGNMENT)
    return len(text).to_bytes(_PREFIX, "little") + text


def decode(data: bytearray) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name; they share its memory.

    Raises:
        ValueError: anything that a correct writer would not write: a header too long or not strict JSON, an unknown
            dtype, a shape that does not fit its bytes, overlap, holes, trailing bytes.
    """
    start, header = _split(data)
    entries = sorted((_entry(name, value) for name, value in header.items()), key=lambda e: (e.begin, e.end))
    position = 0
    for entry in entries:
        if entry.begin != position:
            flaw = "overlaps the tensor before it" if entry.begin < position else "leaves a hole before it"
            raise ValueError(f"tensor {entry.name[:80]!r} {flaw}")
        if entry.end - entry.begin != entry.size:
            raise ValueError(f"tensor {entry.name[:80]!r} has {entry.end - entry.begin} bytes; needs {entry.size}")
        position = entry.end
    if start + position != len(data):
        raise ValueError(f"its header describes {position} bytes of data, it holds {len(data) - start}")
    return {entry.name: _tensor(data, start, entry) for entry in entries}


def _split(data: bytearray) -> tuple[int, dict[str, object]]:
    """Where the data start, and the header."""
    length = int.from_bytes(data[:_PREFIX], "little")
    if len(data) < _PREFIX or length > min(MAX_HEADER, len(data) - _PREFIX):
        raise ValueError(f"a header of {length} bytes does not fit in a file of {len(data)}")
    start = _PREFIX + length
    header = strict_json.parse(data[_PREFIX:start])
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    return start, header


def _entry(name: str, value: object) -> _Entry:
    match value:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end], **rest} if not rest:
            numbers = [*shape, begin, end]
            if dtype in DTYPES and len(shape) <= MAX_DIMENSIONS and _are_counts(numbers):
                return _Entry(name, DTYPES[dtype], tuple(numbers[:-2]), numbers[-2], numbers[-1])
    raise ValueError(f"tensor {name[:80]!r} is described wrongly: {str(value)[:200]}")


def _are_counts(values: list[object]) -> TypeGuard[list[int]]:
    return all(type(value) is int and value >= 0 for value in values)  # isinstance would let True through


def _tensor(data: bytearray, start: int, entry: _Entry) -> Tensor:
    offset, count = start + entry.begin, math.prod(entry.shape)
    if not count:  # torch.frombuffer takes no empty range
        if math.prod(size or 1 for size in entry.shape) >= 2**63:  # and torch.empty multiplies all sizes
            raise ValueError(f"tensor {entry.name[:80]!r} has an impossible shape")
        return torch.empty(entry.shape, dtype=entry.dtype)
    if offset % entry.dtype.itemsize:
        raise ValueError(f"tensor {entry.name[:80]!r} is not aligned")
    flat = torch.frombuffer(data, dtype=entry.dtype, count=count, offset=offset)
    if entry.dtype == torch.bool and bool((flat.view(torch.uint8) > 1).any()):
        raise ValueError(f"tensor {entry.name[:80]!r} holds a byte that is neither true nor false")
    return flat.reshape(entry.shape)
