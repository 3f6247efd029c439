"""The configuration that the options of a command make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polymodal.config.run_config import RunConfig


@dataclass(frozen=True)
class Overrides:
    """What the options of a command say; None, and empty lists, say nothing.

    Attributes:
        target: the columns to predict.
        split: the column that says train, validation or test.
        group: the column whose equal cells belong on one side.
        drop: columns beside those of the file.
        seed: of everything random.
        assignments: of `--set`.
        preset: of the encoders.
        warm_start: the bundle to start from.
    """

    target: Sequence[str] | None = None
    split: str | None = None
    group: str | None = None
    drop: Sequence[str] | None = None
    seed: int | None = None
    assignments: Sequence[str] | None = None
    preset: str | None = None
    warm_start: Path | None = None


def run_config(file: Path | None, said: Overrides) -> RunConfig:
    """The configuration: the file, then the options, then `--set`.

    Raises:
        ConfigError: an unknown key or a wrong value.
    """
    from polymodal.config import run_config as configuration

    config = configuration.RunConfig() if file is None else configuration.read(file)
    values = config.model_dump(mode="json")
    values["drop"] = list(dict.fromkeys([*config.drop, *(said.drop or ())]))
    values |= {"target": list(said.target)} if said.target else {}
    values |= {"seed": said.seed} if said.seed is not None else {}
    values |= {"preset": said.preset} if said.preset is not None else {}
    values["split"] |= {} if said.split is None else {"column": said.split}
    values["split"] |= {} if said.group is None else {"by": said.group, "method": "group"}
    values["warm_start"] |= {} if said.warm_start is None else {"bundle": str(said.warm_start)}
    return configuration.override(configuration.make(values, source="options"), list(said.assignments or ()))
