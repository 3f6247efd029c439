"""Messages in the words of Python: an option of the command line becomes the estimator's parameter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import yaml

from polymodal.errors import PolymodalError

_END = r"(?=[\s.,:;)]*(?:\s|$))"


def in_python(sentence: str, columns: Iterable[str] = ()) -> str:
    """A sentence with the parameters of an estimator in the place of options such as `--drop a`.

    Args:
        sentence: may be about several options.
        columns: of the table; their names may hold blanks.

    >>> in_python("Leave it out: --drop my id.", ["my id"])
    "Leave it out: drop=['my id']."
    >>> in_python("Say so: --set task.unit='kg' --set task.decimal=comma (or point).")
    "Say so: **{'task.unit': 'kg', 'task.decimal': 'comma'} (or point)."
    """
    if "--" not in sentence:
        return sentence
    there = {name for name in columns if name and name in sentence}
    named = "|".join(re.escape(name) for name in sorted(there, key=len, reverse=True))
    name = rf"(?:{named + '|' if named else ''}\S+?){_END}"
    value = rf"'[^']*'|\S+?{_END}"
    path = rf"(?:columns\.(?:{named})\.)?[\w.\"-]+" if named else r"[\w.\"-]+"
    one = rf"--set (?:'[\w.]+=[^']*'|{path}=(?:{value}))"
    sentence = re.sub(rf"--drop {name}(?: --drop {name})*( \.\.\.)?", lambda found: _drop(found[0], name), sentence)
    sentence = re.sub(rf"{one}(?: {one})*", lambda found: _settings(found[0], one), sentence)
    sentence = re.sub(rf"--split ({name})", lambda found: f"**{{'split.column': {found[1]!r}}}", sentence)
    sentence = re.sub(rf"--group ({name}) --folds (\d+)", lambda found: _folds(found[1], found[2]), sentence)
    sentence = re.sub(rf"--group ({name})", lambda found: _group(found[1]), sentence)
    return re.sub(r"`polymodal ([a-z-]+)`", lambda found: f"`polymodal.{found[1].replace('-', '_')}`", sentence)


@contextmanager
def python_words(columns: Iterable[str] = ()) -> Iterator[None]:
    """Errors that are raised inside are told in the words of Python."""
    try:
        yield
    except PolymodalError as error:
        if len(error.args) == 1 and isinstance(error.args[0], str):
            error.args = (in_python(error.args[0], columns),)
        raise


def _drop(text: str, name: str) -> str:
    names = re.findall(rf"--drop ({name})", text)
    more = ", ..." if text.endswith(" ...") else ""
    return f"drop=[{', '.join(map(repr, names))}{more}]"


def _settings(text: str, one: str) -> str:
    values = {}
    for assignment in re.findall(one, text):
        words = assignment.removeprefix("--set ")
        whole = words.startswith("'")
        path, _, value = (words.strip("'") if whole else words).partition("=")
        values[path] = value if whole else value.strip("'")
    return f"**{{{', '.join(f'{path!r}: {_value(value)!r}' for path, value in values.items())}}}"


def _value(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _group(name: str) -> str:
    return f"**{{'split.method': 'group', 'split.by': {name!r}}}"


def _folds(group: str, folds: str) -> str:
    return f"config={{'split': {{'method': 'group', 'by': {group!r}}}}} and folds={folds}"
