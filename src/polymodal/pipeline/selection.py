"""Selects the inputs of a model: those that are independent of the target, and copies of others, are left out.

A model overfits the first, and the second count twice.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from polymodal.abilities import HasTargetFeatures, Scoring
from polymodal.config.run_config import RunConfig
from polymodal.data.cells.dataset import Dataset
from polymodal.errors import ConfigError, did_you_mean
from polymodal.evaluation.input_tests import FEWEST_ROWS, test_inputs
from polymodal.metrics.results import InputTest
from polymodal.schema import Column, Input, Schema

_LISTED = 5
_REASON = "does not predict the target, by a permutation test on the training rows"
_COPY = "has the same cells as {} in every training row"
_NONE_PREDICTS = (
    "By a permutation test on the training rows no input predicts the target. All are kept, but the model may be no "
    "better than chance."
)


@dataclass(frozen=True)
class Selection:
    """The inputs that a model has.

    Attributes:
        schema: with these inputs; columns of the others do not enter the model.
        tests: what the training rows say of each input; empty where none was tested.
        warnings: what the user is told of those that are left out.
    """

    schema: Schema
    tests: Mapping[str, InputTest] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def select_inputs(schema: Schema, config: RunConfig, dataset: Dataset, train: np.ndarray) -> Selection:
    """Tests the inputs on the training rows, and leaves out copies of others and those that do not predict the target.

    All stay where the user says so, of one input alone, of too few rows, where none is found useful, and for tasks
    whose target has neither scores nor features. An input stays that a setting names, or that shares its encoder.

    Where the target is a text, a medium is only ever found useful: handcrafted features of a recording say little of
    its words. One that fails the test stays, and counts as not tested.

    Raises:
        ConfigError: `inputs.keep` names an input that there is not.
    """
    names, keep, task = [one.name for one in schema.inputs], config.inputs.keep, dataset.task
    for name in keep if isinstance(keep, tuple) else ():
        if name not in names:
            raise ConfigError(f"inputs.keep: no input is called {name!r}.{did_you_mean(name, names)}")
    rows = dataset.known(train)
    if keep == "all" or len(names) < 2 or len(rows) < FEWEST_ROWS or not isinstance(task, Scoring | HasTargetFeatures):
        return Selection(schema)
    copies = _copies(schema, dataset, rows)
    inputs = {one.name: one.columns for one in schema.inputs if one.name not in copies}
    tests = test_inputs(dataset, inputs, rows, seed=config.seed)
    tests |= {
        name: tests[first].model_copy(update={"useful": False, "copy_of": first}) for name, first in copies.items()
    }
    media = {name for name in inputs if isinstance(task, HasTargetFeatures) and _has_media(dataset, inputs[name])}
    tests = {name: found for name, found in tests.items() if found.useful or name not in media}
    if not media and not any(found.useful for found in tests.values()):
        return Selection(schema, tests, (_NONE_PREDICTS,))
    staying = {
        *(() if isinstance(keep, str) else keep),
        *_words(config.fusion.settings),
        *_words(config.stage.settings),
    }
    for one in schema.inputs:
        staying |= set() if one.shares is None else {one.name, one.shares}
    gone = [name for name, found in tests.items() if not found.useful and name not in staying]
    warnings = [_of_copy(name, copies[name]) for name in gone if name in copies]
    if dead := [name for name in gone if name not in copies]:
        warnings.append(_of_dead(dead, schema))
    reasons = {name: _COPY.format(copies[name]) if name in copies else _REASON for name in gone}
    return Selection(_without(schema, reasons), tests, tuple(warnings))


def _has_media(dataset: Dataset, columns: Sequence[str]) -> bool:
    return any(dataset.modalities[name].media for name in columns)


def _copies(schema: Schema, dataset: Dataset, rows: np.ndarray) -> dict[str, str]:
    """By input of one column, the first one of the same settings with the same cells in these rows."""
    of_column = {one.columns[0]: one for one in schema.inputs if len(one.columns) == 1}
    alike, copies = defaultdict[str, list[Input]](list), dict[str, str]()
    for column in schema.columns:
        if (one := of_column.get(column.name)) is None:
            continue
        settings = json.dumps([column.settings, one.modality, one.encoder, one.settings, one.side], sort_keys=True)
        store = dataset.prepared.stores[column.name]
        for first in alike[settings]:
            if store.equals(dataset.prepared.stores[first.columns[0]], rows):
                copies[one.name] = first.name
                break
        else:
            alike[settings].append(one)
    return copies


def _without(schema: Schema, reasons: Mapping[str, str]) -> Schema:
    gone = {column: reasons[one.name] for one in schema.inputs if one.name in reasons for column in one.columns}
    columns = tuple(
        Column(name=column.name, kind=column.kind, modality=None, reason=gone[column.name])
        if column.name in gone
        else column
        for column in schema.columns
    )
    inputs = tuple(one for one in schema.inputs if one.name not in reasons)
    return schema.model_copy(update={"columns": columns, "inputs": inputs})


def _of_copy(name: str, first: str) -> str:
    return (
        f"{name}: left out of the model; it {_COPY.format(first)}, and would count twice. Set inputs.keep to all, or "
        "to a list of inputs, to keep it."
    )


def _of_dead(names: list[str], schema: Schema) -> str:
    listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    target = "the target" if schema.target is None else schema.target.name
    return (
        f"{listed}: left out of the model; by a permutation test on the training rows "
        f"{'it does' if len(names) == 1 else 'they do'} not predict {target}. Set inputs.keep to all, or to a list of "
        "inputs, to keep them."
    )


def _words(settings: object) -> Iterator[str]:
    """All texts in settings, keys too: names of inputs among them."""
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, dict):
        for key, value in settings.items():
            yield from (str(key), *_words(value))
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _words(value)
