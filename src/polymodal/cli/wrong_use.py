"""Says all that is wrong with a command line that cannot be understood, and how to write it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer

from polymodal.cli import arguments, unknown_option
from polymodal.errors import PolymodalError, did_you_mean

_MOST = 5  # faults that are told
_SET = "--set"


def explain(error: typer.TyperException, words: Sequence[str], program: Any) -> str:
    """What typer says of the first word that it does not understand, what is wrong besides, and what to type.

    Args:
        error: of the command line.
        words: of it, without the name of the program.
        program: the command that all others belong to.
    """
    context = getattr(error, "ctx", None) or _context(program, words)
    depth = len(context.command_path.split()) - 1  # words that name the command
    command, left = list(words[:depth]), list(words[depth:])
    others = _others(error, context, left)
    also = f" Also: {' '.join(others)}" if others else ""
    if _is_unknown_option(error):
        return unknown_option.answer(getattr(error, "option_name", ""), context, words, also=also)
    if _is_unexpected(error):
        for mended, why in _mended(context, left):
            if _trial(context, mended) is None:
                typed = shlex.join(["polymodal", *command, *mended])
                return f"{_sentence(error, context)} {why} Type: {typed}"
    return f"{_sentence(error, context)}{also} See: {context.command_path} --help"


def _context(program: Any, words: Sequence[str]) -> Any:
    """That of the command which the words name, where an error has none."""
    command, context = program, program.make_context("polymodal", [], resilient_parsing=True)
    for word in words:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        context = command.make_context(word, [], parent=context, resilient_parsing=True)
    return context


def _sentence(error: typer.TyperException, context: Any) -> str:
    option, near = getattr(error, "option_name", ""), getattr(error, "possibilities", None)
    message = error.format_message()
    if near or _is_unknown_option(error):
        message = f"{error.message}.{did_you_mean(option, near or ())}"
    elif option:  # an option without its value
        metavar = next((one.metavar for one in context.command.params if option in one.opts), None)
        message += f" Write {option} {metavar or 'VALUE'}"
    return message if message.endswith((".", "?")) else f"{message}."


def _is_unknown_option(error: typer.TyperException) -> bool:
    return hasattr(error, "possibilities") and bool(getattr(error, "option_name", None))


def _is_unexpected(error: typer.TyperException) -> bool:
    return type(error).__name__ == "UsageError" and "unexpected extra" in error.format_message()


def _trial(context: Any, left: Sequence[str]) -> typer.TyperException | None:
    """What is wrong with other words for the same command; None where they can be understood."""
    try:
        context.command.make_context(context.info_name, list(left), parent=context.parent)
    except typer.TyperException as error:
        return error
    except typer.Exit:  # the help was asked for
        return None
    return None


def _others(error: typer.TyperException, context: Any, left: list[str]) -> list[str]:
    """What else is wrong, found by leaving out what was found already."""
    found: list[str] = []
    while len(found) < _MOST:
        without = _without(error, context, left)
        if without is None or without == left:
            return found
        left, following = without, _trial(context, without)
        if following is None:
            return [*found, *_of_settings(context, left)]
        if _is_unexpected(following):
            return found
        error = following
        found.append(_sentence(error, context))
    return found


def _without(error: typer.TyperException, context: Any, left: list[str]) -> list[str] | None:
    """The words without the fault: a known one put right, any other left out; None where that is not to be done."""
    if _is_unknown_option(error):
        return unknown_option.mended(getattr(error, "option_name", ""), context, left)
    parameter = getattr(error, "param", None)
    if type(error).__name__ == "MissingParameter" and parameter is not None:
        return [*parameter.opts[:1], "X", *left] if parameter.param_type_name == "option" else [*left, "X"]
    if parameter is not None and parameter.param_type_name == "option":
        return list(_without_option(left, parameter.opts))
    if left and left[-1] == getattr(error, "option_name", None):
        return left[:-1]
    return None


def _without_option(left: list[str], names: Sequence[str]) -> Iterator[str]:
    words = iter(left)
    for word in words:
        if word in names:
            next(words, None)
        elif word.partition("=")[0] not in names:
            yield word


def _of_settings(context: Any, left: list[str]) -> list[str]:
    """What is wrong with the settings that the words make."""
    said: Mapping[str, Any] = context.command.make_context(context.info_name, list(left), parent=context.parent).params
    known = {key: said.get(key) for key in ("assignments", "preset", "budget")}
    try:
        arguments.run_config(said.get("config"), arguments.Overrides(**known))
    except PolymodalError as error:
        return str(error).split("\n")
    return []


def _mended(context: Any, left: list[str]) -> Iterator[tuple[list[str], str]]:
    """The words in ways that may be meant, each with why."""
    options = {
        name: parameter
        for parameter in context.command.params
        if parameter.param_type_name == "option"
        for name in parameter.opts
    }
    for place, word in enumerate(left[:-1]):
        parameter = options.get(word)
        if parameter is not None and not parameter.is_flag and left[place + 1] in options:
            value = parameter.metavar or "VALUE"
            yield [*left[: place + 1], value, *left[place + 1 :]], f"{word} needs a value."
    yield list(_joined(left)), f"{_SET} takes one word, without blanks around =."
    several = {name for name, parameter in options.items() if parameter.multiple}
    yield list(_repeated(left, several, options)), "An option takes one value; repeat it for each."


def _joined(left: list[str]) -> Iterator[str]:
    """`--set a = 1` as `--set a=1`."""
    words = list(left)
    while words:
        word = words.pop(0)
        yield word
        if word == _SET and words:
            value = words.pop(0)
            while words and (value.endswith("=") or words[0].startswith("=")):
                value += words.pop(0)
            yield value


def _repeated(left: list[str], several: set[str], options: Mapping[str, Any]) -> Iterator[str]:
    """`--drop a b` as `--drop a --drop b`."""
    words = list(left)
    while words:
        word = words.pop(0)
        yield word
        if word in options and not options[word].is_flag and words:
            yield words.pop(0).rstrip(",") if word in several else words.pop(0)
            while word in several and words and not words[0].startswith("-"):
                yield from (word, words.pop(0).rstrip(","))
