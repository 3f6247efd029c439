"""What the settings of a column say about it, where they do not name its modality."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from polymodal import registry
from polymodal.errors import ColumnError


def modality_with(settings: Collection[str], name: str, inferred: str | None) -> str | None:
    """The modality that has all settings given for a column: the inferred one, else the only one.

    Args:
        settings: their names.
        name: of the column.
        inferred: its modality by its cells; None where it is left out.

    Raises:
        ColumnError: none has them, or several have.
    """
    if not settings:
        return inferred
    known = {
        modality: {field.name for field in dataclasses.fields(registry.load("modalities", modality).Config)}
        for modality in registry.names("modalities")
    }
    having = [modality for modality, fields in known.items() if fields.issuperset(settings)]
    if inferred in having:
        return inferred
    if len(having) == 1:
        return having[0]
    stray = sorted(set(settings).difference(*known.values()))
    if inferred is not None and stray:
        return inferred  # which tells of it, with the settings that it has
    given = ", ".join(stray or sorted(settings))
    if stray:
        raise ColumnError(f"columns.{name}.modality: no modality has a setting {given}; remove it or correct it.")
    which = f"one of {', '.join(having)}, which have it" if having else "the one that is meant"
    raise ColumnError(
        f"columns.{name}.modality: setting {given} is given, but the column is not known to have it. "
        f"Set columns.{name}.modality.name to {which}."
    )
