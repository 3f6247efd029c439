"""The field `target` of a configuration: one column's name, or those of several that one model predicts."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator


def _single(value: object) -> object:
    """One column in a list is one column."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _named_once(value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
    if isinstance(value, tuple) and (not value or len(set(value)) < len(value)):
        raise ValueError("the list names a column twice" if value else "the list names no column")
    return value


TargetField = Annotated[str | tuple[str, ...] | None, AfterValidator(_named_once), BeforeValidator(_single)]
