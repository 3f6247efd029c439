"""How a bundle in an older format becomes one in this: step by step, the documents and the weights."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

from torch import Tensor

Documents = dict[str, object]  # the JSON of a bundle, by the name of its file
Tensors = dict[str, Tensor]  # the weights, by name


def _unchanged(tensors: Tensors, _: Documents) -> Tensors:
    return tensors


@dataclass(frozen=True)
class Migration:
    """From one format to the next.

    Attributes:
        documents: gives the new documents; may change those that it gets.
        tensors: gives the new weights, renamed, reshaped or left out, from the old ones and the documents as they were
            before this migration.
    """

    documents: Callable[[Documents], Documents]
    tensors: Callable[[Tensors, Documents], Tensors] = _unchanged


MIGRATIONS: dict[int, Migration] = {}  # by the format that they start from


def migrate(documents: Documents, tensors: Tensors, *, start: int, end: int) -> tuple[Documents, Tensors]:
    """Documents and weights in format `end`.

    Raises:
        ValueError: they are not in the format `start`.
    """
    for version in range(start, end):
        migration = MIGRATIONS[version]
        try:
            changed = migration.documents(deepcopy(documents))
            tensors = migration.tensors(tensors, documents)
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # what it looks for is not there
            raise ValueError(f"it is not in format {version}, as it says: {error!r}") from error
        documents = changed
    return documents, tensors
