"""What is compared: all inputs together in several ways, every input by itself, and all but one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from polymodal import registry
from polymodal.config import run_config as configuration
from polymodal.config.run_config import Part, RunConfig
from polymodal.errors import ConfigError
from polymodal.models.stage import DEEP_ENSEMBLE, INTERMEDIATE
from polymodal.pipeline.defaults import FUSION

EVERY = "all"
"""Instead of the names of fusions, or of stages."""

Kind: TypeAlias = Literal["baseline", "reference", "single", "ablation", "rest", "fusion", "own"]
Own: TypeAlias = Mapping[str, RunConfig | Mapping[str, Any] | str | Path]
"""By name: a configuration, some settings that differ from the reference's, or the YAML file of either."""

_SHARED = ("target", "table", "weight", "split", "seed", "device", "bad_cells", "limits", "task")
_PARTS = ("fusion", "stage", "modality", "encoder")


@dataclass(frozen=True)
class Entry:
    """One line of a comparison.

    Attributes:
        kind: `reference` is what the others are compared with; `rest` holds the inputs that seemed to be needed.
        config: how it is trained; of a baseline, how the reference is.
        inputs: that it learns from.
    """

    name: str
    kind: Kind
    config: RunConfig
    inputs: tuple[str, ...]


def plan(
    config: RunConfig,
    columns: Mapping[str, Collection[str]],
    *,
    fusions: Sequence[str] = (),
    stages: Sequence[str] = (),
    own: Own | None = None,
    singles: bool = True,
    ablations: bool = True,
) -> list[Entry]:
    """The entries that are trained, in the order of their use.

    `config` is the reference's; `columns` are, by input, those that form it; `own` are the `entries` of `compare`. The
    other arguments are those of `compare`, too.

    Raises:
        ConfigError: an unknown fusion or stage, a name that is given twice, or settings that do not fit.
    """
    named, named_stages = _names("fusions", fusions), _names("stages", stages)
    if named and EVERY not in fusions and (config.fusion.name or FUSION) not in named:
        config = config.model_copy(update={"fusion": Part(name=named[0])})
    every = tuple(sorted(columns))
    reference = Entry(_name(config), "reference", config, every)
    entries = [reference]
    if singles and len(every) > 1:
        entries += [_of_inputs(config, columns, (name,), f"{name} only", "single") for name in every]
    if ablations and (len(every) > 2 or (len(every) == 2 and not singles)):
        others = {name: [other for other in every if other != name] for name in every}
        entries += [_of_inputs(config, columns, kept, f"without {name}", "ablation") for name, kept in others.items()]
    ways = [config.model_copy(update={"fusion": Part(name=name)}) for name in named if name != config.fusion.name]
    ways += [config.model_copy(update={"stage": Part(name=name)}) for name in named_stages if name != _stage(config)]
    entries += [Entry(_name(way), "fusion", way, every) for way in ways if _name(way) != reference.name]
    entries += [_own(name, values, config, columns) for name, values in (own or {}).items()]
    names = [entry.name for entry in entries]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"compare: two entries are called {twice!r}; give each its own name.")
    return entries


def rest(config: RunConfig, columns: Mapping[str, Collection[str]], needless: Collection[str]) -> Entry | None:
    """All inputs but several that seem to add nothing, together; None where fewer than two would remain, or go."""
    kept = tuple(name for name in sorted(columns) if name not in needless)
    if len(kept) < 2 or len(needless) < 2:
        return None
    return _of_inputs(config, columns, kept, " + ".join(kept), "rest")


def _of_inputs(
    config: RunConfig, columns: Mapping[str, Collection[str]], kept: Sequence[str], name: str, kind: Kind
) -> Entry:
    dropped = [column for model_input in columns if model_input not in kept for column in columns[model_input]]
    changed: dict[str, Any] = {"drop": tuple(dict.fromkeys([*config.drop, *dropped]))}
    if branches := config.stage.settings.get("branches"):
        of_kept = {name: branch for name, branch in branches.items() if name in kept}
        changed["stage"] = Part(name=config.stage.name, **{**config.stage.settings, "branches": of_kept})
    if len(kept) == 1:  # nothing to fuse: some fusions would refuse
        plain = config.fusion if config.fusion.name in (None, FUSION) else Part(name=FUSION)
        alike = config.stage if config.stage.name == DEEP_ENSEMBLE else Part(name=INTERMEDIATE)  # as many networks
        changed |= {"fusion": plain, "stage": alike}
    return Entry(name, kind, config.model_copy(update=changed), tuple(sorted(kept)))


def _own(
    name: str, values: RunConfig | Mapping[str, Any] | str | Path, config: RunConfig, columns: Mapping[str, Any]
) -> Entry:
    """A configuration of the user's: what it leaves unsaid, and what must be alike for all, is as in the reference."""
    given = configuration.given(values, source=f"entry {name!r}")
    said = values if isinstance(values, Mapping) else given.model_dump(mode="json", exclude_unset=True)
    said = {key: value for key, value in said.items() if key not in _SHARED}
    made = configuration.make(_merged(config.model_dump(mode="json"), said), source=f"entry {name!r}")
    kept = tuple(model_input for model_input in sorted(columns) if not set(columns[model_input]) <= set(made.drop))
    return Entry(name, "own", made, kept)


def _merged(base: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with others in their place; a part that is named anew brings none of the old one's settings."""
    result = dict(base)
    for key, value in said.items():
        old = result.get(key)
        whole = key in _PARTS and (isinstance(value, str) or "name" in value)
        result[key] = (
            _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) and not whole else value
        )
    return result


def _names(kind: str, asked: Sequence[str]) -> list[str]:
    """The names that are asked for, each once and known."""
    for name in asked:
        if name != EVERY:
            registry.load(kind, name)
    named = [known for name in asked for known in (registry.names(kind) if name == EVERY else (name,))]
    return list(dict.fromkeys(named))


def _stage(config: RunConfig) -> str:
    return config.stage.name or INTERMEDIATE


def _name(config: RunConfig) -> str:
    """Fusion, and stage where it is not the usual one."""
    stage, fusion = _stage(config), config.fusion.name or FUSION
    return fusion if stage == INTERMEDIATE else f"{stage}: {fusion}"
