"""One encoder for several inputs: which columns go through it together, and what they must then have alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polymodal import registry
from polymodal.config.run_config import RunConfig
from polymodal.errors import ConfigError, did_you_mean
from polymodal.schema import Column, Input, Schema

Groups = tuple[tuple[str, ...], ...]
"""Names of columns that share an encoder, each group sorted."""


def groups(columns: Sequence[Column], config: RunConfig, *, allowed: bool) -> Groups:
    """The columns that share an encoder; those that do not enter the model are passed over.

    Args:
        columns: of the table.
        config: its `share` names them.
        allowed: inputs may share an encoder at this stage.

    Raises:
        ConfigError: no such column; columns of several modalities, or of one whose columns enter together anyhow; a
            column in two groups; a stage in which nothing can be shared.
    """
    found = [sorted(_members(entry, columns)) for entry in config.share]
    taken: set[str] = set()
    for group in found:
        if twice := taken.intersection(group):
            raise ConfigError(f"share: column {min(twice)!r} is in two groups; it has one encoder only.")
        taken.update(group)
    together = tuple(tuple(group) for group in found if len(group) > 1)
    if together and not allowed:
        raise ConfigError(
            f"share: with stage {config.stage.name!r} every input learns by itself, so {', '.join(together[0])} "
            "cannot share an encoder. Leave share out, or use another stage."
        )
    return together


def groups_of(inputs: Sequence[Input]) -> Groups:
    """The columns that share an encoder by what the inputs say."""
    by_name = {model_input.name: model_input for model_input in inputs}
    found: dict[str, list[str]] = {}
    for model_input in inputs:
        if model_input.shares is not None:
            found.setdefault(model_input.shares, list(by_name[model_input.shares].columns)).extend(model_input.columns)
    return tuple(tuple(sorted(group)) for group in found.values())


def suggestions(suggested: Mapping[str, dict[str, Any]], together: Groups) -> dict[str, dict[str, Any]]:
    """What modalities suggest for each column; of columns that share an encoder, what is suggested for the first."""
    first = {name: group[0] for group in together for name in group}
    return {name: suggested.get(first.get(name, name), {}) for name in {*suggested, *first}}


def joined(inputs: Sequence[Input], columns: Sequence[Column], together: Groups) -> list[Input]:
    """The inputs, of which all but the first of a group say whose encoder they share.

    Raises:
        ConfigError: columns of a group differ in their own settings, or in those of their encoders.
    """
    by_input = {model_input.name: model_input for model_input in inputs}
    by_column = {column.name: column for column in columns}
    shares = {}
    for group in together:
        first, *others = group
        for other in others:
            _agree("columns.{}.encoder", first, other, _described(by_input[first]), _described(by_input[other]))
            one, two = by_column[first], by_column[other]
            _agree(f"columns.{{}}.modality of {one.modality}", first, other, one.settings, two.settings)
            shares[other] = first
    return [model_input.model_copy(update={"shares": shares.get(model_input.name)}) for model_input in inputs]


def check(schema: Schema) -> None:
    """That every input which shares an encoder can: whose it is has one of its own, and both are described alike.

    Raises:
        ValueError: one cannot; says which.
    """
    inputs = {model_input.name: model_input for model_input in schema.inputs}
    for model_input in schema.inputs:
        if model_input.shares is None:
            continue
        first = inputs.get(model_input.shares)
        if first is None or first.shares is not None or first is model_input:
            raise ValueError(f"input {model_input.name!r} shares the encoder of {model_input.shares!r}, which has none")
        if _described(first) != _described(model_input) or _read(schema, first) != _read(schema, model_input):
            raise ValueError(
                f"inputs {first.name!r} and {model_input.name!r} share an encoder, but are described apart"
            )


def _members(entry: str | tuple[str, ...], columns: Sequence[Column]) -> list[str]:
    entering = {column.name: column for column in columns if column.modality is not None}
    if isinstance(entry, str):
        members = [name for name, column in entering.items() if column.modality == entry]
    else:
        known = [column.name for column in columns]
        for name in entry:
            if name not in known:
                raise ConfigError(f"share: the table has no column {name!r}.{did_you_mean(name, known)}")
        members = [name for name in dict.fromkeys(entry) if name in entering]
    modalities = sorted({entering[name].modality or "" for name in members})
    if len(modalities) > 1:
        kinds = ", ".join(f"{name!r} is {entering[name].modality}" for name in members)
        raise ConfigError(f"share: only columns of one modality can share an encoder, but {kinds}.")
    group = registry.load("modalities", modalities[0]).group if modalities else None
    if group is not None:
        raise ConfigError(f"share: columns of {modalities[0]} enter as one input anyhow, {group!r}; leave them out.")
    return members


def _agree(where: str, first: str, other: str, of_first: Mapping[str, Any], of_other: Mapping[str, Any]) -> None:
    for key in of_first.keys() | of_other.keys():
        one, two = of_first.get(key), of_other.get(key)
        if one != two:
            raise ConfigError(
                f"share: columns {first!r} and {other!r} share an encoder, so they need the same settings; "
                f"{where.format(first)}: {key} is {one!r}, {where.format(other)}: {key} is {two!r}."
            )


def _described(model_input: Input) -> dict[str, Any]:
    return {"name": model_input.encoder, "from": model_input.modality, **model_input.settings}


def _read(schema: Schema, model_input: Input) -> list[tuple[object, ...]]:
    by_name = {column.name: column for column in schema.columns}
    columns = [by_name[name] for name in model_input.columns]
    return [(column.modality, column.settings, column.statistics) for column in columns]
