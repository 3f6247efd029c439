"""Paths to settings, as `--set` and `set_params` take them: keys joined by dots; a key that has a dot is quoted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_origin

from polymodal.config.node import Settings
from polymodal.errors import did_you_mean

_KEY = re.compile(r"""("[^"]*"|'[^']*'|[^.]*)(\.|\Z)""")
_KEY_OF_ASSIGNMENT = re.compile(r"""(?:"[^"]*"|'[^']*')(?=[.=])|[^.=]*""")


def split_path(path: str) -> list[str]:
    """The keys of a path.

    >>> split_path('columns."user.id".modality')
    ['columns', 'user.id', 'modality']
    """
    keys, place = [], 0
    while match := _KEY.match(path, place):
        keys.append(_unquoted(match[1]))
        if not match[2]:
            break
        place = match.end()
    return keys


def join_path(keys: Sequence[str]) -> str:
    """The path of some keys.

    >>> join_path(["columns", "user.id", "modality"])
    'columns."user.id".modality'
    """
    return ".".join(map(_quoted, keys))


def split_assignment(text: str) -> tuple[str, str, str]:
    """Path, equals sign and value; as `str.partition("=")`, but an equals sign in a quoted key belongs to the key."""
    place = 0
    while (place := _KEY_OF_ASSIGNMENT.match(text, place).end()) < len(text):  # type: ignore[union-attr] # may be empty
        if text[place] == "=":
            return text[:place], "=", text[place + 1 :]
        place += 1
    return text, "", ""


def with_quotes(path: str, value: object, column: type[Settings]) -> str | None:
    """The path that was meant, where the name of a column has a dot that is not quoted; None of any other path.

    Args:
        path: such as `columns.user.id.modality`.
        value: that it is set to.
        column: the settings of a column.
    """
    settings = column.model_fields
    keys = split_path(path)
    if keys[:2] == ["warm_start", "columns"] and len(keys) > 3:
        return join_path([*keys[:2], ".".join(keys[2:])])
    if keys[0] != "columns" or len(keys) < 3 or keys[2] in settings:
        return None
    ends = [place for place, key in enumerate(keys) if place > 2 and key in settings]
    if not ends and (not isinstance(value, Mapping) or did_you_mean(keys[2], settings)):
        return None
    end = ends[0] if ends else len(keys)
    return join_path(["columns", ".".join(keys[1:end]), *keys[end:]])


def without_open_quotes(path: str) -> str:
    """The path less quotes that open or close a key, but have no second one.

    >>> without_open_quotes('columns."a.b.modality'), without_open_quotes('columns."a.b".modality')
    ('columns.a.b.modality', 'columns."a.b".modality')
    """
    for mark in ('"', "'"):
        if path.count(mark) % 2:
            path = re.sub(rf"(?<=\.){mark}|{mark}(?=\.|$)", "", path)
    return path


def did_you_mean_path(key: str, model: type[Settings]) -> str:
    """Names the settings that end in a key, for the end of an error message."""
    paths = settings_by_last_key(model).get(key, {})
    return f" Did you mean {' or '.join(map(repr, paths))}?" if paths else ""


def settings_by_last_key(model: type[Settings]) -> dict[str, dict[str, Any]]:
    """By last key, such as `epochs`, the paths of all settings that end in it, with their types; short ones first.

    A node that has a name, such as an optimizer, is called by its own key: `optimizer` is `train.optimizer.name`.
    """
    found: dict[str, dict[str, Any]] = {}
    for keys, kind in sorted(_walk(model), key=lambda pair: len(pair[0])):
        last = keys[-2] if keys[-1] == "name" else keys[-1]
        found.setdefault(last, {})[".".join(keys)] = kind
    return found


def _walk(model: type[Settings]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Settings):
            yield from (((name, *keys), inner) for keys, inner in _walk(kind))
        elif get_origin(kind) is not dict:  # its keys are the user's own
            yield (name,), kind


def _unquoted(key: str) -> str:
    closed = len(key) > 1 and key[0] in "\"'" and key.find(key[0], 1) == len(key) - 1
    return key[1:-1] if closed else key


def _quoted(key: str) -> str:
    if not key.startswith(('"', "'")) and not {".", "="}.intersection(key):
        return key
    mark = "'" if '"' in key else '"'
    return f"{mark}{key}{mark}"
