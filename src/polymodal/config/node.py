"""What every node of the configuration is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A node of the configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def by_name(value: object) -> object:
    """Settings with a name and nothing else, where the name alone is given."""
    return {"name": value} if isinstance(value, str) else value
