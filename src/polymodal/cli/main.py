"""The command line: composes the commands, and turns every error into one paragraph and an exit code.

Nothing heavy is imported here or at the top of a command's file: `polymodal --help` costs no torch.
"""

from __future__ import annotations

import gc
import io
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from polymodal import __version__
from polymodal.cli import datasets, wrong_use
from polymodal.cli.align import align
from polymodal.cli.compare import compare
from polymodal.cli.cross_validate import cross_validate
from polymodal.cli.demo import demo
from polymodal.cli.evaluate import evaluate
from polymodal.cli.generate import generate
from polymodal.cli.inspect import inspect
from polymodal.cli.list import list_parts
from polymodal.cli.predict import predict
from polymodal.cli.terminal import complain
from polymodal.cli.train import train
from polymodal.cli.transcribe import transcribe
from polymodal.cli.update import update
from polymodal.errors import PolymodalError

_DEBUG = "--debug"
_COLLECT_AFTER = 20_000  # objects
_INTERRUPTED = 130  # 128 + SIGINT, as shells count

app = typer.Typer(rich_markup_mode=None)
for command in (inspect, train, evaluate, predict, update, compare, generate, transcribe, align):
    app.command()(command)
app.command("cross-validate")(cross_validate)
app.command("list")(list_parts)
app.add_typer(datasets.app, name="datasets")
app.command()(demo)


def _print_version(asked: bool) -> bool:
    if asked:
        typer.echo(f"polymodal {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option(_DEBUG, help="After an error, show the traceback. May stand anywhere.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version.")
    ] = False,
) -> None:
    """One table of text, images, audio, numbers and categories in; one trained, evaluated, saved model out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: words of the command line, by default those of this process.

    Returns:
        The exit code: 0 done, 2 wrong use or input, 130 interrupted, 1 anything else.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    words = [word for word in given if word != _DEBUG] or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error
    try:
        with warnings.catch_warnings(), _ending_in_order(), _collecting_seldom():
            warnings.showwarning = lambda message, *_, **__: complain(f"Warning: {message}")
            code = typer.main.get_command(app)(words, prog_name="polymodal", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:  # the last stop: whatever it is, it is told and not swallowed
        if _DEBUG in given:
            traceback.print_exc()
        code, message = _explain(error, words)
        complain(message)
        return code
    if code == _INTERRUPTED:  # typer has caught the KeyboardInterrupt
        complain("Interrupted.")
    return code or 0


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Python looks for garbage less often than by default: what imports make stays, and would be looked at in vain."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM, by which systems end programs, is as Ctrl-C: what is done is kept, temporary folders go."""
    if threading.current_thread() is not threading.main_thread():  # where Python lets nobody handle signals
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _explain(error: BaseException, words: Sequence[str]) -> tuple[int, str]:
    """Exit code, and one paragraph for people."""
    if isinstance(error, PolymodalError):
        return error.exit_code, f"Error: {error}"
    if isinstance(error, typer.TyperException):
        return error.exit_code, f"Error: {wrong_use.explain(error, words, typer.main.get_command(app))}"
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED, "Interrupted."
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    return (
        1,
        f"Error: something went wrong that Polymodal did not expect: {what}. Run it again with --debug to see where.",
    )


if __name__ == "__main__":
    sys.exit(main())
