"""What every modality must do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality, Sample
from polymodal.testing.rules import (
    Settings,
    check_preview,
    check_recognition,
    expect,
    fitted,
    load_checked,
    sample_cells,
)


def check_modality(
    part: str | type, *, cells: Sequence[object] | None = None, settings: Settings | None = None
) -> None:
    """Checks one modality.

    Args:
        part: name or class.
        cells: at least three readable cells, all different; needed for modalities that are not Polymodal's own.
        settings: if the defaults do not suit.
    """
    cls, config = load_checked("modalities", part, settings)
    cells = sample_cells(str(part)) if cells is None else cells
    unfitted: Modality = cls(config)
    expect(isinstance(unfitted, Modality), f"{cls.__name__} lacks an attribute of polymodal.types.Modality")
    heads = [cell[:64] if isinstance(cell, bytes) else None for cell in cells]
    recognition = cls.recognise(Sample(cells, heads, distinct=len(cells), present=len(cells)))
    if recognition is not None:
        check_recognition(recognition)
    arrays = _check_reading(unfitted, cells)
    modality: Modality = fitted(cls, config, arrays)
    _check_augment(modality, arrays)
    _check_collate(modality, arrays)
    check_preview(modality, cells)


def _check_reading(modality: Modality, cells: Sequence[object]) -> list[np.ndarray]:
    arrays = [modality.read(cell) for cell in cells]
    expect(all(isinstance(array, np.ndarray) for array in arrays), "read gives something else than an array")
    kinds = {(array.dtype, array.ndim) for array in arrays}
    expect(len(kinds) == 1, f"read gives arrays of different dtype or number of axes: {kinds}")
    again = [modality.read(cell) for cell in cells]
    expect(all(map(np.array_equal, arrays, again)), "read gives another array the second time")
    expect(all(isinstance(modality.note(cell), str | None) for cell in cells), "a note is neither None nor words")
    try:
        modality.read(object())
    except UnreadableCellError:
        return arrays
    raise AssertionError("read takes an object of no known type; it must raise UnreadableCellError")


def _check_augment(modality: Modality, arrays: Sequence[np.ndarray]) -> None:
    for array in arrays:
        frozen = array.copy()
        frozen.flags.writeable = False  # as the memory-mapped store gives it
        first, second = (modality.augment(frozen, np.random.default_rng(7)) for _ in range(2))
        expect(np.array_equal(first, second), "augment gives different results from equal generators")
        alike = (first.dtype, first.ndim) == (array.dtype, array.ndim)
        expect(alike, "augment changes the dtype or the number of axes")


def _check_collate(modality: Modality, arrays: Sequence[np.ndarray]) -> None:
    rows: list[np.ndarray | None] = [None, *arrays, None]
    cells = modality.collate(rows)
    expect(len(cells.values) == len(cells.lengths) == len(rows), "collate does not give one row for each array")
    expect(cells.lengths.dtype == torch.int64, "lengths must be int64")
    expect(
        bool((cells.present == torch.tensor([row is not None for row in rows])).all()),
        "lengths must be 0 exactly where the cell is missing",
    )
    expect(bool(torch.isfinite(cells.values.float()).all()), "collate gives NaN or infinity")
    missing = modality.collate([None, None])
    expect(not bool(missing.present.any()) and len(missing.values) == 2, "collate fails where every cell is missing")
    alone = modality.collate([arrays[0]])
    expect(int(alone.lengths[0]) == int(cells.lengths[1]), "a row's length depends on its batch")
    features, part = modality.handcrafted_features(rows), modality.handcrafted_features(rows[:2])
    expect(features.shape[0] == len(rows), "handcrafted_features does not give one row for each array")
    expect(features.shape[1:] == part.shape[1:], "the number of handcrafted features depends on the rows")
