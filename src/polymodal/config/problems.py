"""Says what is wrong with the values of a configuration: by its path, with what was meant where that can be told."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import ValidationError

from polymodal import registry
from polymodal.config.node import Settings
from polymodal.config.paths import did_you_mean_path, join_path
from polymodal.config.preset_names import check_presets
from polymodal.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from polymodal.config.run_config import RunConfig

_EXPECTED = {  # where pydantic speaks of Python's types
    "tuple_type": "Input should be a list such as [a, b]",
    "model_type": "Input should be settings such as {name: value}",
    "dict_type": "Input should be settings such as {name: value}",
    "dataclass_type": "Input should be settings such as {name: value}",
}
_RENAMED = {
    "timing": "stage",
    "start": "warm_start",
    "auxiliary_vote": "ensemble",
    "ensemble_weight": "ensemble",
    "keeps_space": "spatial_tokens",
    "halvings": "downsampling_stages",
}  # keys of earlier versions
_OF_A_COLUMN = ("modality", "encoder")
_TYPES = ("type", "kind", "dtype", "role")  # what people call a modality


@contextmanager
def collecting_errors(problems: list[str]) -> Iterator[None]:
    """Takes the message of a ConfigError inside into a list, so that what follows is checked, too."""
    try:
        yield
    except ConfigError as error:
        problems.append(str(error))


def explain(error: ValidationError, model: type, root: type[Settings], source: str) -> list[str]:
    """One sentence or more for each thing that is wrong.

    Args:
        error: of the check.
        model: what the values were checked against.
        root: the settings of a run, among which a key may belong.
        source: of the values, for the messages.
    """
    return [_explain(problem, model, root, source) for problem in error.errors()]


def _explain(problem: Any, model: type, root: type[Settings], source: str) -> str:
    path = [str(key) for key in problem["loc"]]
    where = join_path(path)
    meant = _of_column(path, problem["input"]) if model is root else ""
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _keys(model, path[:-1])
        if (new := _RENAMED.get(path[-1])) is not None:
            return f"{source}: the key {where!r} is now called {new!r}."
        near = meant or did_you_mean(path[-1], known) or did_you_mean_path(where, root)
        return f"{source}: unknown key {where!r}.{near} Known here: {', '.join(known)}."
    got = "" if problem["type"] == "missing" else f" (got {problem['input']!r})"
    expected = _EXPECTED.get(problem["type"], problem["msg"]).removeprefix("Value error, ")
    return f"{source}: {where or 'value'}: {expected}{got}.{meant}"


def _of_column(path: list[str], value: object) -> str:
    """What was meant by a setting of a column in another form than `columns.NAME.modality=...`."""
    if len(path) == 1 and isinstance(value, Mapping) and value and set(value) <= {*_OF_A_COLUMN, *_TYPES}:
        key, inner = next(iter(value.items()))
        name = inner.get("name", "...") if isinstance(inner, Mapping) else inner
        return f" Did you mean {join_path(['columns', path[0], key if key in _OF_A_COLUMN else 'modality'])}={name}?"
    if path[0] != "columns" or len(path) not in (2, 3):
        return ""
    modality, known = join_path([*path[:2], "modality"]), registry.names("modalities")
    named = path[2] if path[2:] and path[2] in known else value
    if named in known and (not path[2:] or path[2] in (*known, *_TYPES)):
        return f" Did you mean {modality}={named}?"
    if not path[2:] or path[2] in _TYPES:
        return f" Did you mean {modality}=MODALITY, one of {', '.join(known)}?" if isinstance(value, str) else ""
    if did_you_mean(path[2], _OF_A_COLUMN):
        return ""
    return f" Did you mean {modality}.{path[2]}, a setting of what reads the column?"


def not_finite(value: object, path: str = "") -> Iterator[tuple[str, float]]:
    """Every NaN and infinity in plain values, with the path to it."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path, value
    nodes = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, node in nodes:
        yield from not_finite(node, f"{path}.{key}".lstrip("."))


def wrong_names(config: RunConfig, source: str) -> list[str]:
    """What is wrong with names of parts, before any data is read; their settings are checked when they are built."""
    problems: list[str] = []
    with collecting_errors(problems):
        check_presets(config.presets, source=source)
    chosen = [("fusions", config.fusion.name, "fusion"), ("tasks", config.task.name, "task")]
    chosen += [("stages", config.stage.name, "stage")]
    chosen += [("modalities", name, f"modalities.{name}") for name in config.modalities]
    chosen += [("encoders", name, f"encoders.{name}") for name in config.encoders]
    chosen += [
        (f"encoders/{key}", part.name, f"encoders.{key}")
        for key, part in config.encoders.items()
        if key in registry.names("encoders")
    ]
    chosen += [
        ("modalities", c.modality.name, join_path(["columns", key, "modality"])) for key, c in config.columns.items()
    ]
    for modality, settings in config.modalities.items():
        if "name" in settings:
            problems.append(
                f"{source}: modalities.{modality}.name: these are settings for every {modality} column; to say what one"
                " column is, set columns.COLUMN.modality."
            )
    for kind, name, where in chosen:
        if name is not None and name not in registry.names(kind):
            known = registry.known(kind, name)
            problems.append(f"{source}: {where}: no {registry.describe(kind)} is called {name!r}.{known}")
    return problems


def _keys(model: Any, path: list[str]) -> list[str]:
    """Known keys of the node that a path leads to."""
    for key in path:
        fields = getattr(model, "model_fields", {})
        if key in fields:
            annotation = fields[key].annotation
            values = getattr(annotation, "__args__", None)
            model = annotation if values is None else values[-1]
        elif dataclasses.is_dataclass(model):
            model = get_type_hints(model).get(key, model)
        # else: a key of the user's own, such as a column's name; the node is already its type
    if dataclasses.is_dataclass(model):
        return sorted(field.name for field in dataclasses.fields(model))
    return sorted(getattr(model, "model_fields", {}))
