"""What a run starts from: the node `warm_start` of a configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from polymodal.config.node import Settings


class WarmStartConfig(Settings):
    """A trained model whose parts a run starts from, in place of random weights.

    Attributes:
        bundle: folder of the model; None: every part starts at random.
        columns: by column of the table, the name that it has in the bundle; others are there under their own.
        freeze: encoders that come from it learn no more: every cell is then encoded only once.
    """

    bundle: str | None = None
    columns: dict[str, str] = Field({})
    freeze: bool = False


def _bundle(value: object) -> object:
    return {"bundle": value} if isinstance(value, str) else value


WarmStartField = Annotated[WarmStartConfig, BeforeValidator(_bundle)]
"""`warm_start: run/bundle` is short for `warm_start: {bundle: run/bundle}`."""
