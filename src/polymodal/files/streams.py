"""Content of files in blocks, hashed on the way, so that a large file is never in memory twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

BLOCK = 2**22  # bytes


@runtime_checkable
class Streamed(Protocol):
    """Content that is made block by block, the same however often it is asked for.

    Attributes:
        size: in bytes.
    """

    @property
    def size(self) -> int: ...

    def blocks(self) -> Iterator[bytes | memoryview]:
        """The content in order. A block is only valid until the next one is asked for."""


Content = bytes | Streamed


@dataclass(frozen=True)
class Digest:
    """By which content is recognised.

    Attributes:
        size: in bytes.
        sha256: in hexadecimal.
    """

    size: int
    sha256: str


def size_of(content: Content) -> int:
    """In bytes."""
    return len(content) if isinstance(content, bytes) else content.size


def blocks_of(content: Content) -> Iterator[bytes | memoryview]:
    """The content in order; bytes are one block."""
    return iter([content]) if isinstance(content, bytes) else content.blocks()


def copy(content: Content, write: Callable[[bytes | memoryview], object]) -> Digest:
    """Gives each block to `write`, and hashes it."""
    size, digest = 0, hashlib.sha256()
    for block in blocks_of(content):
        digest.update(block)
        write(block)
        size += len(block)
    return Digest(size, digest.hexdigest())


def digest_of(content: Content) -> Digest:
    """The digest of content that goes nowhere."""
    return copy(content, lambda _: None)
