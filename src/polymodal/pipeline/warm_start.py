"""Starts a run from a trained model: its columns as that read them, and its weights where they fit.

What was learned of a column, such as its vocabulary, comes with its encoder: the one means nothing without the other.
Of the bundle's texts none is ever opened as a path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polymodal.bundles import bundle as bundles
from polymodal.bundles.bundle import Bundle
from polymodal.config.run_config import ColumnConfig, Part, RunConfig
from polymodal.config.sharing import Groups, groups_of
from polymodal.config.train import WarmStartConfig
from polymodal.errors import ConfigError, did_you_mean
from polymodal.models.deep_ensemble import members_of
from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Model, Network
from polymodal.models.stage import INTERMEDIATE, stage_of
from polymodal.pipeline.defaults import group_of
from polymodal.pretrained.adaptation import merged_names
from polymodal.protocols import Encoder, Module
from polymodal.schema import Column, Input, Schema, Target

_MEANINGS = ("classes", "tokenizer", "characters")  # of a target's statistics: what its scores are of


@dataclass(frozen=True)
class WarmStart:
    """A trained model, and what of it a run takes.

    Attributes:
        bundle: the trained model, from the folder `source`.
        columns: by column of the run that comes from it, the name that it has there.
        inputs: by the columns of an input of the run that comes from it, what it is there.
        notes: why inputs with columns of the bundle do not come from it.
    """

    bundle: Bundle
    source: str
    columns: Mapping[str, str]
    inputs: Mapping[tuple[str, ...], Input]
    notes: tuple[str, ...]

    def check(self, together: Groups) -> None:
        """Raises ConfigError where columns share an encoder that have different ones in the bundle."""
        for group in together:
            learned = [
                self.bundle.schema.column(self.columns[n]).statistics if n in self.columns else None for n in group
            ]
            if any(statistics != learned[0] for statistics in learned):
                raise ConfigError(
                    f"warm_start: the columns {', '.join(group)} share an encoder here, but not in {self.source}. "
                    "Leave them out of `share`, or start from another bundle."
                )

    def fill(self, network: Network, schema: Schema, config: RunConfig) -> tuple[str, ...]:
        """Takes over the weights that fit; says which parts they are of, and which parts start at random.

        Raises:
            ConfigError: the encoder of an input that comes from the bundle has other tensors there.
        """
        old, taken, fresh = self.bundle.model, list[str](), list(self.notes)
        names: dict[str, str] = {}
        for name, encoder in network.encoders.items():
            there = self.inputs.get(network.columns[name])
            if there is None:
                if not any(note.startswith(f"{name!r}") for note in self.notes):
                    fresh.append(f"the encoder of {name!r}")
                continue
            names[name] = there.name
            where = f"warm_start: input {name!r}, whose encoder is in {self.source}"
            before = members_of(old.encoders[there.name])
            for member, source in zip(members_of(encoder), cycle(before)):
                _copy(source, member, where=where)
            if config.warm_start.freeze:
                for parameter in encoder.parameters():
                    parameter.requires_grad_(False)
                encoder.frozen = True
            taken.append(f"the encoder of {name!r}" + (f", there {there.name!r}" if there.name != name else ""))
        task = self._same_task(schema.target)
        for part, fits in self._above(network, names, config, same_task=task).items():
            (taken if fits else fresh).append(part)
        found = [f"warm_start: taken from {self.source}: {'; '.join(taken)}"]
        return (*found, f"warm_start: fresh: {'; '.join(fresh)}") if fresh else tuple(found)

    def _above(
        self, network: Network, names: Mapping[str, str], config: RunConfig, *, same_task: bool
    ) -> dict[str, bool]:
        """Takes what fits of fusion and heads, and says of each whether it did."""
        old, before = self.bundle.model, self.bundle.config
        if isinstance(network, Ensemble) and isinstance(old, Ensemble) and same_task:
            for name, head in network.heads.items():
                if names.get(name) in old.heads.names:
                    _take_weights(old.heads[names[name]], head)
        # A fusion knows its inputs by their order alone.
        alike = [names.get(name) for name in network.encoders] == list(old.encoders)
        fits = alike and stage_of(config).joint and config.stage.name == (before.stage.name or INTERMEDIATE)
        fits = fits and config.fusion == before.fusion and _take_fusions(old, network)
        return {"the fusion": fits, "the head": fits and same_task and _take_weights(old.head, network.head)}

    def _same_task(self, target: Target | None) -> bool:
        """Whether the scores of both models mean the same."""
        before = self.bundle.schema.target
        if target is None or before is None or (target.task, target.settings) != (before.task, before.settings):
            return False
        columns = (target.columns, before.columns) if len(target.columns) > 1 else ((), ())  # one may have another name
        now, then = target.statistics, before.statistics
        return columns[0] == columns[1] and all(now.get(name) == then.get(name) for name in _MEANINGS)


def start_from(
    columns: tuple[Column, ...], config: RunConfig
) -> tuple[WarmStart | None, tuple[Column, ...], RunConfig]:
    """What a run starts from, its columns as the bundle read them, and the configuration with the bundle's choices.

    Raises:
        BundleError: there is none, or it is damaged.
        ConfigError: a name that the table or the bundle does not have; nothing to take; a setting that the
            configuration says otherwise.
    """
    if config.warm_start.bundle is None:
        if config.warm_start != WarmStartConfig():
            raise ConfigError(
                "warm_start.columns and warm_start.freeze are about a bundle, but warm_start.bundle names none."
            )
        return None, columns, config
    bundle = bundles.load(Path(config.warm_start.bundle).expanduser())
    roles = {*config.targets, *config.drop, config.weight, config.split.column, config.split.by}
    entering = {column.name: column for column in columns if column.name not in roles}  # inference may leave out more
    origin = _origin(entering, columns, bundle.schema, config)
    inputs, notes = _inputs(origin, entering, bundle.schema)
    taken = {name: origin[name] for model_input in inputs for name in model_input}
    start = WarmStart(bundle, config.warm_start.bundle, taken, inputs, tuple(notes))
    columns = tuple(_as_before(column, start, config) if column.name in taken else column for column in columns)
    return start, columns, _with_choices(start, columns, config)


def _origin(
    entering: Mapping[str, Column], columns: Sequence[Column], before: Schema, config: RunConfig
) -> dict[str, str]:
    """By column of the table, what it is called in the bundle; without those that it does not have."""
    here, there = [column.name for column in columns], [column.name for column in before.features()]
    source = config.warm_start.bundle
    for name, old in config.warm_start.columns.items():
        if name not in entering:
            known = list(entering) if name not in here else []
            why = "is not learned from" if name in here else "is not in the table"
            raise ConfigError(f"warm_start.columns: column {name!r} {why}.{did_you_mean(name, known)}")
        if old not in there:
            raise ConfigError(
                f"warm_start.columns.{name}: {source} knows no column {old!r}.{did_you_mean(old, there)} It knows: "
                f"{', '.join(there)}."
            )
    named = {name: config.warm_start.columns.get(name, name) for name in entering}
    found = {name: old for name, old in named.items() if old in there}
    if not found:
        raise ConfigError(
            f"warm_start: no column of this table is in {source}, which knows {', '.join(there)}. "
            "Say which is which: start.columns={HERE: THERE}."
        )
    return found


def _inputs(
    origin: Mapping[str, str], entering: Mapping[str, Column], before: Schema
) -> tuple[dict[tuple[str, ...], Input], list[str]]:
    """What comes from the bundle: an input of one column by itself, one of several columns only as a whole."""
    by_column = {name: model_input for model_input in before.inputs for name in model_input.columns}
    found: dict[tuple[str, ...], Input] = {}
    grouped: dict[str, list[str]] = {}
    for name, old in sorted(origin.items()):
        if group_of(before.column(old)) is None:
            found[(name,)] = by_column[old]
        else:
            grouped.setdefault(by_column[old].name, []).append(name)
    notes = []
    for there, names in grouped.items():
        model_input = next(i for i in before.inputs if i.name == there)
        more = [n for n, c in entering.items() if n not in origin and group_of(c) == model_input.modality]
        here = sorted([*names, *more])
        if [origin.get(name) for name in here] == list(model_input.columns):
            found[tuple(here)] = model_input
        else:
            notes.append(
                f"{there!r}, which is made of {', '.join(here)} here, of {', '.join(model_input.columns)} in the bundle"
            )
    return found, notes


def _as_before(column: Column, start: WarmStart, config: RunConfig) -> Column:
    """The column as the bundle read it.

    Raises:
        ConfigError: the configuration says something else.
    """
    before = start.bundle.schema.column(start.columns[column.name])
    said = config.columns.get(column.name, ColumnConfig()).modality
    if said.name not in (None, before.modality):
        raise ConfigError(
            f"warm_start: column {column.name!r} is {said.name} here, {before.modality} in {start.source}."
            f" Leave columns.{column.name}.modality out, or give the column another name."
        )
    settings = column.settings
    if column.modality != before.modality:
        settings = {**config.modalities.get(before.modality or "", {}), **said.settings}
    for key, value in settings.items():
        if key not in before.settings or before.settings[key] != value:
            raise ConfigError(
                f"warm_start: column {column.name!r}: {key} is {value!r} here, {before.settings.get(key)!r} in "
                f"{start.source}, where the encoder learned what it makes of it. Leave it out."
            )
    statistics = {key: value for key, value in before.statistics.items() if key != "truncated"}  # of its own rows
    return before.model_copy(update={"name": column.name, "reason": f"as in {start.source}", "statistics": statistics})


def _with_choices(start: WarmStart, columns: Sequence[Column], config: RunConfig) -> RunConfig:
    """The configuration with modalities, encoders, sharing, fusion and stage of the bundle, where it says nothing."""
    chosen, encoders = dict(config.columns), dict(config.encoders)
    for names, model_input in start.inputs.items():
        by_modality = config.encoders.get(model_input.modality, Part())
        for column in (c for c in columns if c.name in names):
            said = config.columns.get(column.name, ColumnConfig()).encoder
            together = group_of(column) is not None
            encoder = Part() if together else _encoder(column.name, model_input, [by_modality, said], start.source)
            modality = Part.model_validate({**column.settings, "name": column.modality})
            chosen[column.name] = ColumnConfig(modality=modality, encoder=encoder)
            if together:
                encoders[model_input.modality] = _encoder(model_input.name, model_input, [by_modality], start.source)
    before = start.bundle.config
    update: dict[str, Any] = {"columns": chosen, "encoders": encoders}
    if not config.share:
        learned = groups_of(start.bundle.schema.inputs)
        here = [tuple(name for name, old in start.columns.items() if old in group) for group in learned]
        update["share"] = tuple(group for group in here if len(group) > 1)
    for key in ("fusion", "stage"):
        said = getattr(config, key)
        if said.name is None and not said.settings:
            update[key] = getattr(before, key)
    return config.model_copy(update=update)


def _encoder(name: str, model_input: Input, said: Sequence[Part], source: str) -> Part:
    """The encoder of the bundle, with the settings that are said otherwise here; whether they fit is seen later."""
    named = [part.name for part in said if part.name is not None]
    if named and named[-1] != model_input.encoder:
        raise ConfigError(
            f"warm_start: the encoder of {name!r} is {named[-1]!r} here, {model_input.encoder!r} in {source}."
        )
    settings = dict(model_input.settings)
    for part in said:
        if part.name in (None, model_input.encoder):
            settings |= part.settings
    return Part(name=model_input.encoder, **settings)


def _copy(old: Encoder, new: Encoder, *, where: str) -> None:
    """Gives one encoder the weights of another; adapters that only the new one has stay as they are, adding nothing."""
    before, after, names = old.state_dict(), new.state_dict(), merged_names(new)
    for key in sorted(before.keys() | names.keys()):
        here, there = _shape(after.get(names.get(key, ""))), _shape(before.get(key))
        if here != there:
            raise ConfigError(
                f"{where}: the tensor {key!r} is {here} here, {there} there. Leave out the settings of the encoder "
                "that make it so."
            )
    new.load_state_dict(after | {names[key]: value for key, value in before.items()})


def _shape(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else " x ".join(map(str, tensor.shape)) or "one number"


def _take_fusions(old: Network, new: Network) -> bool:
    """Copies the parameters of the fusions of all sides, if both models have the same ones."""
    before, after = (network.model if isinstance(network, Ensemble) else network for network in (old, new))
    assert isinstance(before, Model) and isinstance(after, Model), "a stage that learns as a whole has one model"
    if before.towers.names != after.towers.names:
        return False
    return all(_take_weights(before.towers[side].fusion, after.towers[side].fusion) for side in after.towers)


@torch.no_grad()
def _take_weights(old: Module, new: Module) -> bool:
    """Copies the parameters, if both have the same ones; buffers, such as a prior, stay those of the new rows."""
    before, after = dict(old.named_parameters()), dict(new.named_parameters())
    if {key: p.shape for key, p in before.items()} != {key: p.shape for key, p in after.items()}:
        return False
    for key, parameter in after.items():
        parameter.copy_(before[key])
    return True
