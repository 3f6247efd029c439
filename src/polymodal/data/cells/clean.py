"""Cleaning that the user asked for (`clean`): every change is counted and written down; nothing else is changed.

Rows are dropped here, from training only. Cells are filled and clipped by their modality, whose statistics hold with
what: so the same happens at predict.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Literal, get_args, get_type_hints

import numpy as np

from polymodal import registry
from polymodal.abilities import Measuring, Repairing
from polymodal.codecs.outlier_bounds import tukey_bounds
from polymodal.config.table import CleanConfig
from polymodal.data.cells.notes import Notes
from polymodal.data.cells.prepare import Prepared
from polymodal.data.cells.reading import modality_of
from polymodal.data.split.split import Split
from polymodal.errors import DataError
from polymodal.protocols import Modality
from polymodal.schema import Column


@dataclass(frozen=True)
class Action:
    """One change.

    Attributes:
        row: in the table, from 0.
        column: None where the whole row counted.
        old: the number before; None where the cell was missing, and for whole rows.
        new: what stands in for it; None where the row was dropped.
        reason: in words.
    """

    row: int
    column: str | None
    action: Literal["drop", "fill", "clip"]
    old: float | str | None
    new: float | str | None
    reason: str


def with_policies(columns: Sequence[Column], clean: CleanConfig) -> tuple[Column, ...]:
    """The columns with policies for cells among their settings, where their modality has such; their own go first."""
    return tuple(
        column.model_copy(update={"settings": {**_policies(column, clean), **column.settings}}) for column in columns
    )


def clean_rows(
    columns: Sequence[Column], prepared: Prepared, target: Sequence[object] | None, split: Split, clean: CleanConfig
) -> tuple[Split, tuple[Action, ...]]:
    """Drops the rows that are not to be learned from: never a test row.

    Validation rows go only where they equal a test row, because the last training learns from them.

    Args:
        columns: with complete settings.
        prepared: their cells.
        target: by row; None of a task without a target.
        split: of the rows.
        clean: what is asked for.

    Raises:
        DataError: no training row is left.
    """
    actions: list[Action] = []
    if clean.duplicates == "drop":
        actions += _duplicates(prepared, target, split)
        split = _less(split, actions)
    if clean.missing == "drop":
        actions += _with_missing(prepared, split)
        split = _less(split, actions)
    if clean.outliers == "drop":
        actions += _with_outliers(columns, prepared, split)
        split = _less(split, actions)
    return split, tuple(actions)


def _less(split: Split, actions: Sequence[Action]) -> Split:
    gone = np.array([action.row for action in actions], dtype=np.int64)
    kept = {side: np.setdiff1d(getattr(split, side), gone) for side in ("train", "validation")}
    if not len(kept["train"]):
        raise DataError(
            f"Cleaning leaves no training row: {len(actions)} were dropped, the last because of {actions[-1].reason}. "
            "Look at clean.duplicates, clean.missing and clean.outliers."
        )
    return replace(split, **kept)


def clean_cells(prepared: Prepared, modalities: Mapping[str, Modality], rows: np.ndarray) -> tuple[Action, ...]:
    """What the fitted modalities, by column, do to cells of some rows."""
    actions = []
    for name, modality in modalities.items():
        config: object = getattr(modality, "config", None)
        cleans = any(getattr(config, policy, "leave") != "leave" for policy in ("missing", "outliers"))
        if not isinstance(modality, Repairing) or not cleans:
            continue
        for row in rows.tolist():
            if (done := modality.repair(prepared.stores[name][row])) is not None:
                action, old, new = done
                reason = "the cell is missing" if action == "fill" else "an outlier"
                actions.append(Action(row, name, "fill" if action == "fill" else "clip", old, new, reason))
    return tuple(actions)


def counted(actions: Iterable[Action]) -> Notes:
    """How many cells were filled and clipped, as notes, by column."""
    counts: dict[str, Counter[str]] = {}
    for action in actions:
        if action.column is not None and action.action != "drop":
            shown = f"{action.new:.6g}" if isinstance(action.new, float) else repr(action.new)
            words = f"filled with {shown}" if action.action == "fill" else f"clipped to {shown}"
            counts.setdefault(action.column, Counter())[words] += 1
    return counts


@cache  # they take long to find, and are asked for every column
def _hints(config: type) -> dict[str, Any]:
    return get_type_hints(config)


def _policies(column: Column, clean: CleanConfig) -> dict[str, Any]:
    if column.modality is None:
        return {}
    kinds = _hints(registry.load("modalities", column.modality).Config)
    asked: dict[str, Any] = {"missing": clean.missing, "outliers": clean.outliers}
    if clean.missing == "constant":
        fits = kinds.get("value") is (str if isinstance(clean.value, str) else float)
        asked["missing"] = "constant" if fits else "leave"
    found = {name: policy for name, policy in asked.items() if policy in get_args(kinds.get(name))}
    if found.get("missing") == "constant":
        found["value"] = clean.value
    return {name: policy for name, policy in found.items() if policy != "leave"}


def _duplicates(prepared: Prepared, target: Sequence[object] | None, split: Split) -> Iterator[Action]:
    """Training rows that come again, or equal a row that is measured; validation rows that equal a test row."""
    seen: dict[Hashable, tuple[int, str]] = {}
    for side in ("test", "validation", "train"):
        new: dict[Hashable, tuple[int, str]] = {}
        for row in getattr(split, side).tolist():
            key = _key(prepared, target, row)
            if key is None:
                continue
            first = seen.get(key) or (new.get(key) if side == "train" else None)
            if first is not None:
                yield Action(row, None, "drop", None, None, f"equal to row {first[0]} of {first[1]}")
            else:
                new.setdefault(key, (row, side))
        seen |= new


def _key(prepared: Prepared, target: Sequence[object] | None, row: int) -> Hashable:
    """Equal for rows of equal cells and target; None for a row without any cell."""
    if not any(store.present[row] for store in prepared.stores.values()):
        return None
    value = None if target is None else target[row]
    state = hashlib.sha256(repr(value).encode("utf-8", "surrogatepass"))
    for store in prepared.stores.values():
        store.add_to(state, [row])
    return state.digest()


def _with_missing(prepared: Prepared, split: Split) -> Iterator[Action]:
    for row in split.train.tolist():
        absent = next((name for name, store in prepared.stores.items() if store[row] is None), None)
        if absent is not None:
            yield Action(row, absent, "drop", None, None, "a missing cell")


def _with_outliers(columns: Sequence[Column], prepared: Prepared, split: Split) -> Iterator[Action]:
    """Training rows with a number beyond the bounds of the training rows; each row once."""
    gone: set[int] = set()
    for column in columns:
        if column.modality is None:
            continue
        modality = modality_of(column.model_copy(update={"statistics": {}}))
        has_policy = "outliers" in {field.name for field in fields(type(modality).Config)}
        if not has_policy or not isinstance(modality, Measuring):
            continue
        there = [(row, a) for row in split.train.tolist() if (a := prepared.stores[column.name][row]) is not None]
        values = [next(iter(modality.measures(array).values())) for _, array in there]
        low, high = tukey_bounds(np.array(values)) if values else (-np.inf, np.inf)
        for (row, _), value in zip(there, values, strict=True):
            if not low <= value <= high and row not in gone:
                gone.add(row)
                yield Action(row, column.name, "drop", value, None, f"an outlier: outside {low:.6g} to {high:.6g}")
