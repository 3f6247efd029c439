"""From what a run is (schema and configuration, both complete) to the model it describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from polymodal import registry
from polymodal.config.run_config import Part, RunConfig, part_settings
from polymodal.config.sharing import check as check_shared
from polymodal.data.cells.prepare import modality_of
from polymodal.errors import ConfigError
from polymodal.models.model import Network
from polymodal.models.stage import Parts, stage_of
from polymodal.protocols import Encoder, Modality, Task
from polymodal.schema import Schema, Target


def build(schema: Schema, config: RunConfig, modalities: Mapping[str, Modality] | None = None) -> Network:
    """A network with fresh weights (pretrained encoders: with theirs, where their settings name a checkpoint).

    Args:
        schema: columns with settings and statistics, inputs with encoders, the fitted target.
        config: its `fusion`, `stage` and `train` are used.
        modalities: by column, fitted, for a caller that has them already; None: made here.

    Raises:
        ConfigError: an unknown part or setting.
    """
    if schema.target is None:
        raise ConfigError("The schema names no target; a model needs one.")
    if modalities is None:
        modalities = {column.name: modality_of(column) for column in schema.features()}
    sides: dict[str, list[str]] = {}
    for model_input in schema.inputs:
        sides.setdefault(model_input.side, []).append(model_input.name)
    make_encoders = partial(_encoders, schema, modalities)
    parts = Parts(
        encoders=make_encoders(),
        columns={model_input.name: model_input.columns for model_input in schema.inputs},
        sides=sides,
        task=task_of(schema.target),
        config=config,
        make_encoders=make_encoders,
    )
    return stage_of(config).assemble(parts)


def task_of(target: Target) -> Task:
    """The fitted task of a target.

    Raises:
        ConfigError: no such task, or a setting that it does not have.
    """
    settings = part_settings("tasks", Part(name=target.task, **target.settings))
    task: Task = registry.load("tasks", target.task)(settings, target.statistics)
    return task


def build_encoder(cls: type, settings: Any, modalities: Sequence[Modality]) -> Encoder:
    """An encoder of a class, with the encoders that it is made of.

    A composite encoder says by `submodules` which of its settings are encoders, and of what kind: `{"image":
    "encoders/image"}`. These are built first, for the modality that reads one member of a cell (`Video.picture`), and
    handed in as keyword arguments of the same names.
    """
    first: Any = modalities[0]
    inside = {
        name: _encoder(kind, getattr(settings, name), [first.picture])
        for name, kind in getattr(cls, "submodules", {}).items()
    }
    encoder: Encoder = cls(settings, *modalities, **inside)
    return encoder


def _encoder(kind: str, part: Part, modalities: Sequence[Modality]) -> Encoder:
    return build_encoder(registry.load(kind, part.name or ""), part_settings(kind, part), modalities)


def _encoders(schema: Schema, modalities: Mapping[str, Modality]) -> dict[str, Encoder]:
    """The encoder of each input; one that is shared is built once."""
    check_shared(schema)
    own = {
        model_input.name: _encoder(
            f"encoders/{model_input.modality}",
            Part(name=model_input.encoder, **model_input.settings),
            [modalities[column] for column in model_input.columns],
        )
        for model_input in schema.inputs
        if model_input.shares is None
    }
    return {model_input.name: own[model_input.shares or model_input.name] for model_input in schema.inputs}
