"""`polymodal compare`: models side by side on the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polymodal.cli import arguments
from polymodal.cli.terminal import complain, make_callbacks, say, tabulate
from polymodal.errors import ConfigError

if TYPE_CHECKING:
    from polymodal.comparison.result import Comparison


def compare(  # noqa: PLR0913 - the options of a command
    table: arguments.TableArgument,
    *,
    target: arguments.TargetsOption = None,
    split: arguments.FoldsSplitOption = None,
    group: arguments.GroupOption = None,
    drop: arguments.DropOption = None,
    fusion: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A fusion, or: all. May be repeated; the first is what others are held to."),
    ] = None,
    stage: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A stage, or: all. May be repeated.")] = None,
    entry: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="A YAML file with settings of your own. May be repeated."),
    ] = None,
    singles: Annotated[bool, typer.Option("--singles/--no-singles", help="Each input by itself.")] = True,
    ablations: Annotated[bool, typer.Option("--ablations/--no-ablations", help="All inputs but one.")] = True,
    folds: Annotated[int, typer.Option(help="1: the split of the configuration, whose test rows are measured.")] = 3,
    repeats: arguments.RepeatsOption = 1,
    full: Annotated[
        bool, typer.Option("--full", help="Train as `train` does; else for half of the epochs, the best of them kept.")
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", metavar="TIME", help="Time for all of it, such as 15m: what matters most comes first."
        ),
    ] = None,
    config: arguments.ConfigOption = None,
    assignments: arguments.SetOption = None,
    seed: arguments.SeedOption = None,
    cache: arguments.CacheOption = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="A folder for comparison.json and comparison.svg."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="DIR may hold an older comparison.")] = False,
) -> None:
    """Compare fusions, stages and inputs on the same folds, and say whether they differ."""
    settings = arguments.run_config(config, arguments.Overrides(target, split, group, drop, seed, assignments))
    own = _entries(entry or ())
    from polymodal.comparison import files
    from polymodal.comparison.compare import compare as run

    if output is not None:
        files.check_folder(output, overwrite=overwrite)
    found = run(
        table,
        fusions=fusion or (),
        stages=stage or (),
        entries=own,
        singles=singles,
        ablations=ablations,
        folds=folds,
        repeats=repeats,
        full=full,
        budget=budget,
        config=settings,
        cache=cache,
        make_callbacks=make_callbacks,
        on_message=complain,
    )
    _print(found)
    if output is not None:
        pictured = files.write(found, output)
        say()
        say(f"Figures: {output / files.FIGURES}")
        say(
            f"Picture: {output / files.PICTURE}" if pictured else "No picture: it needs pip install 'polymodal[plots]'."
        )
    if found.ended == "interrupted":
        raise typer.Exit(130)


def _entries(words: Sequence[str]) -> dict[str, Any]:
    """`NAME=FILE`: configurations of the user's own, read before anything is trained."""
    from polymodal.config import run_config as configuration

    found: dict[str, Any] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not (equals and name and file):
            raise ConfigError(f"--entry takes NAME=FILE, for example small=small.yaml; got {word!r}.")
        if name in found:
            raise ConfigError(f"--entry: two entries are called {name!r}; give each its own name.")
        found[name] = configuration.read(Path(file))
    return found


def _print(found: Comparison) -> None:
    tabulate(*found.table())
    say()
    times = f", {found.repeats} times" if found.repeats > 1 else ""
    how = f"{found.folds} folds{times}" if found.folds > 1 else f"the split{times}"
    say(f"{found.rows} rows, {how}, in {found.seconds:.0f} seconds. In brackets: 95 % intervals.")
    for note in found.notes:
        say(note)
    if found.ended != "complete":
        say(
            {"budget": "The budget had no room for all.", "interrupted": "Interrupted."}[found.ended]
            + " What follows is of what was done by then."
        )
    say()
    say(found.verdict)
