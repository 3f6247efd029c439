"""Tensors to and from the bytes of a safetensors file.

The format (github.com/huggingface/safetensors): 8 bytes, little-endian: length of the header; the header, JSON:
`{name: {"dtype", "shape", "data_offsets": [begin, end]}}`; the data. Its library reads, and refuses overlaps, holes
and sizes that do not fit; what it would let pass, such as a name that appears twice, is refused here before. Writing is
done here, since the library would hold all bytes in memory. The tests compare what is written with the library's bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

import safetensors.torch
import torch
from torch import Tensor

from polymodal.files import streams, strict_json

DTYPES = {  # in the order in which safetensors writes them, so that each tensor is aligned
    "I64": torch.int64,
    "F64": torch.float64,
    "F32": torch.float32,
    "I32": torch.int32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
MAX_HEADER = 100_000_000
MAX_DIMENSIONS = 64
_METADATA = "__metadata__"
_LARGE = 2**14  # bytes; of smaller ones many are equal by chance, such as biases of zeros
_PREFIX = 8
_ALIGNMENT = 8


class TensorFile:
    """Content of a safetensors file, made piece by piece: no more than `streams.BLOCK` bytes are copied at a time.

    Its bytes are those of safetensors' own writer: larger types first, then by name. Of large tensors that are equal to
    the last bit, such as those of a checkpoint that several encoders start from, the first alone is written; the
    header's metadata say for each other name which one that is, as those of `safetensors.torch.save_model` do.
    """

    def __init__(self, tensors: Mapping[str, object]) -> None:
        """Looks at every tensor.

        Raises:
            ValueError: something that is not a dense tensor of one of `DTYPES`; says which.
        """
        checked = {name: _storable(name, value) for name, value in tensors.items()}
        order = list(DTYPES.values())
        in_order = dict(sorted(checked.items(), key=lambda item: (order.index(item[1].dtype), item[0])))
        equal = _equal(in_order)
        self._tensors = {name: tensor for name, tensor in in_order.items() if name not in equal}
        self._head = _header(self._tensors, equal)
        self.size = len(self._head) + sum(tensor.nbytes for tensor in self._tensors.values())

    def blocks(self) -> Iterator[bytes | memoryview]:
        """The header, then the tensors."""
        yield self._head
        buffer = _buffer()
        for tensor in self._tensors.values():
            yield from _blocks(tensor, buffer)


def _storable(name: str, value: object) -> Tensor:
    if not isinstance(value, Tensor):
        raise ValueError(f"{name!r} is a {type(value).__name__}, not a tensor")
    if value.layout != torch.strided or value.dtype not in DTYPES.values():
        raise ValueError(f"tensor {name!r} is {value.dtype}, {value.layout}; only dense plain numbers are stored")
    return value


def _equal(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """By the name of a large tensor, the first one that is equal to it, bit by bit."""
    alike: dict[tuple[torch.dtype, torch.Size], list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.nbytes >= _LARGE:
            alike.setdefault((tensor.dtype, tensor.shape), []).append(name)
    found: dict[str, str] = {}
    buffer = _buffer()
    for names in alike.values():
        firsts: dict[bytes, str] = {}
        for name in names if len(names) > 1 else ():
            first = firsts.setdefault(_digest(tensors[name], buffer), name)
            if first != name:
                found[name] = first
    return dict(sorted(found.items()))


def _digest(tensor: Tensor, buffer: Tensor) -> bytes:
    state = hashlib.sha256()
    for block in _blocks(tensor, buffer):
        state.update(block)
    return state.digest()


def _buffer() -> Tensor:
    """One for all tensors: blocks of their own would fragment the heap."""
    return torch.empty(streams.BLOCK, dtype=torch.uint8)


def _blocks(tensor: Tensor, buffer: Tensor) -> Iterator[memoryview]:
    """The bytes of a tensor, by and by, in the memory of the buffer."""
    for piece in _pieces(tensor.detach()):
        block = buffer[: piece.nbytes]
        block.view(piece.dtype).view(piece.shape).copy_(piece)
        yield block.numpy().data


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    """Views of all of a tensor in order, each at most `streams.BLOCK` bytes."""
    if tensor.nbytes <= streams.BLOCK:
        yield tensor
    elif rows := streams.BLOCK // (tensor.nbytes // len(tensor)):
        yield from torch.split(tensor, rows)
    else:
        for row in tensor:
            yield from _pieces(row)


def _header(tensors: Mapping[str, Tensor], equal: Mapping[str, str]) -> bytes:
    """Length and JSON of the header, padded with spaces so that the data are aligned."""
    words = {dtype: word for word, dtype in DTYPES.items()}
    entries: dict[str, object] = {_METADATA: dict(equal)} if equal else {}
    position = 0
    for name, tensor in tensors.items():
        end = position + tensor.nbytes
        entries[name] = {"dtype": words[tensor.dtype], "shape": [*tensor.shape], "data_offsets": [position, end]}
        position = end
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // _ALIGNMENT) * _ALIGNMENT)
    return len(text).to_bytes(_PREFIX, "little") + text


def decode(data: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name; copies of what is in the file. Those that were equal share memory.

    Raises:
        ValueError: anything that a correct writer would not write: a header too long or not strict JSON, an unknown
            dtype, a shape that does not fit its bytes, overlap, holes, trailing bytes; a name that is said to be equal
            to one that is not there.
    """
    equal = _checked_header(data)
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, RuntimeError) as error:  # torch raises the latter: a size beyond 64 bits
        raise ValueError(str(error)) from error
    for name, tensor in tensors.items():
        if tensor.dtype == torch.bool and bool((tensor.view(torch.uint8) > 1).any()):
            raise ValueError(f"tensor {name[:80]!r} holds a byte that is neither true nor false")
    return tensors | {name: tensors[first] for name, first in equal.items()}


def _checked_header(data: bytes) -> dict[str, str]:
    """By name of a tensor that is not stored, the one that is equal to it. Refuses what the library would read.

    Raises:
        ValueError: the header is too long or not strict JSON, or describes something besides aligned plain numbers.
    """
    length = int.from_bytes(data[:_PREFIX], "little")
    if len(data) < _PREFIX or length > min(MAX_HEADER, len(data) - _PREFIX):
        raise ValueError(f"a header of {length} bytes does not fit in a file of {len(data)}")
    header = strict_json.parse(data[_PREFIX : _PREFIX + length])
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    equal = header.pop(_METADATA, {})
    if not isinstance(equal, dict):
        raise ValueError("its metadata are described wrongly")
    for name, first in equal.items():
        if name in header or not isinstance(first, str) or first not in header:
            raise ValueError(f"tensor {name[:80]!r} is described wrongly: equal to {str(first)[:80]!r}")
    for name, value in header.items():
        match value:
            case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), _], **rest} if (
                dtype in DTYPES and len(shape) <= MAX_DIMENSIONS and not rest
            ):
                if begin % DTYPES[dtype].itemsize:
                    raise ValueError(f"tensor {name[:80]!r} is not aligned")
            case _:
                raise ValueError(f"tensor {name[:80]!r} is described wrongly: {str(value)[:200]}")
    return equal
