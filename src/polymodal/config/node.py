"""What the nodes of the configuration are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar, dataclass_transform

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, with_config


class Settings(BaseModel):
    """A node of the configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def settings(cls: type[_T]) -> type[_T]:
    """Turns a class into the settings of a part: a frozen dataclass, in which an unknown key is an error."""
    return with_config(ConfigDict(extra="forbid"))(dataclass(frozen=True)(cls))


def short_for(key: str) -> BeforeValidator:
    """Takes a word alone, or a list, for settings that hold it under a key and nothing else."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str | list | tuple) else value)


def _single(value: object) -> object:
    """One column in a list is one column."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _named_once(value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
    if isinstance(value, tuple) and (not value or len(set(value)) < len(value)):
        raise ValueError("the list names a column twice" if value else "the list names no column")
    return value


TargetField = Annotated[str | tuple[str, ...] | None, AfterValidator(_named_once), BeforeValidator(_single)]
"""Name of the column that is predicted, or names of several that one model predicts."""
