"""Answers an option that a command does not have with the command to type: settings have one spelling, `--set`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from polymodal.errors import did_you_mean

_SET = "--set"
_OTHER_NAMES = {  # what people and other programs call an option, or a setting by its last key
    **dict.fromkeys(("--time", "--time-limit", "--timeout", "--max-time"), "--budget"),
    **dict.fromkeys(("--label", "--label-column", "--target-column"), "--target"),
    **dict.fromkeys(("--exclude", "--ignore", "--leave-out"), "--drop"),
    **dict.fromkeys(("--out", "--output-dir", "--run-dir"), "--output"),
    "--resume": "--from",
    "--learning-rate": "lr",
    "--num-epochs": "epochs",
    "--max-epochs": "epochs",
    "--batchsize": "batch_size",
    "--test-size": "test",
    "--val-size": "validation",
    "--validation-size": "validation",
    "--random-state": "--seed",
}


def answer(option: str, context: Any, words: Sequence[str], *, also: str = "") -> str:
    """What to say of an unknown option.

    Args:
        option: such as `--epochs`.
        context: of the command, as click has it.
        words: of the whole command line, without the name of the program.
        also: what else is wrong with them, to be said before what to type.
    """
    command = _Command.of(context)
    if (long := command.with_one_dash(option, words)) is not None:
        typed = [f"-{word}" if word == long else word for word in words]
        return f"No such option: {long}. Did you mean -{long}?{also} Type: polymodal {shlex.join(typed)}"
    found, near = command.meant(option), did_you_mean(option, command.takes_value)
    if found is None or (near and not found.exact):
        return f"No such option: {option}.{near}{also} See: {context.command_path} --help"
    how = f"Did you mean {'the setting ' if found.is_setting else ''}{found.name}?"
    if found.is_setting and found.exact:
        how = "It is a setting."
    return f"No such option: {option}. {how}{also} Type: polymodal {shlex.join(command.rewritten(words))}"


def mended(option: str, context: Any, words: Sequence[str]) -> list[str]:
    """The words with what an unknown option stands for in its place; without it where nobody knows that."""
    command = _Command.of(context)
    if (long := command.with_one_dash(option, words)) is not None:
        return [f"-{word}" if word == long else word for word in words]
    if command.meant(option) is not None:
        return list(command.rewritten(words))
    left = list(words)
    place = next((place for place, word in enumerate(left) if word.partition("=")[0] == option), None)
    if place is None:
        return left
    valued = "=" in left[place] or place + 1 == len(left) or left[place + 1].startswith("-")
    return left[:place] + left[place + (1 if valued else 2) :]


@dataclass(frozen=True)
class _Meant:
    """What stands for an unknown option: another option, or a setting by its path."""

    name: str
    is_setting: bool = False
    is_switch: bool = False
    default: str = "VALUE"  # where none is said
    exact: bool = True


@dataclass(frozen=True)
class _Command:
    """A command: its options, of which some take a value, and the settings that `--set` takes there."""

    takes_value: Mapping[str, bool]
    settings: Mapping[str, _Meant] = field(default_factory=dict)  # by last key

    @classmethod
    def of(cls, context: Any) -> _Command:
        takes_value = {
            name: not parameter.is_flag
            for parameter in context.command.params
            if parameter.param_type_name == "option"
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        if _SET not in takes_value:
            return cls(takes_value)
        from polymodal.config.paths import settings_by_last_key
        from polymodal.config.run_config import RunConfig

        updating, settings = context.command.name == "update", {}
        for key, paths in settings_by_last_key(RunConfig).items():
            chosen = sorted(paths, key=lambda path: path.startswith("update.") != updating)[0]
            is_switch = paths[chosen] is bool
            settings[key] = _Meant(
                chosen, is_setting=True, is_switch=is_switch, default="true" if is_switch else "VALUE"
            )
        return cls(takes_value, settings)

    def meant(self, option: str) -> _Meant | None:
        """What an unknown option stands for; None where nobody knows."""
        other = _OTHER_NAMES.get(option, option)
        if other in self.takes_value:
            return _Meant(other)
        key = other.removeprefix("--").replace("-", "_")
        if (found := self.settings.get(key)) is not None:
            return found
        negated = self.settings.get(key.removeprefix("no_"))
        if negated is not None and negated.is_switch:
            return replace(negated, default="false")
        for near in get_close_matches(key, self.settings, n=1, cutoff=0.8):
            return replace(self.settings[near], exact=False)
        return None

    def with_one_dash(self, option: str, words: Sequence[str]) -> str | None:
        """The word, such as `-target`, of which the parser takes the first letter for an option; None of any other."""
        long = (word for word in words if len(word) > 2 and word.startswith(option) and f"-{word}" in self.takes_value)
        return next(long, None) if len(option) == 2 else None

    def rewritten(self, words: Sequence[str]) -> Iterator[str]:
        """The words of the command line, with what unknown options stand for in their place."""
        left = list(words)
        while left:
            word = left.pop(0)
            name, equals, value = word.partition("=")
            if name in self.takes_value:
                yield word
                if self.takes_value[name] and not equals and left:
                    yield left.pop(0)
            elif not name.startswith("--") or (found := self.meant(name)) is None:
                yield word
            else:
                if not equals and left and not left[0].startswith("-") and not found.is_switch:
                    value = left.pop(0)
                yield from _spelled(found, value)


def _spelled(found: _Meant, value: str) -> Sequence[str]:
    value = value or found.default
    return (_SET, f"{found.name}={value}") if found.is_setting else (found.name, value)
