"""`polymodal compare` and `polymodal cross-validate`: models side by side on the same folds, or one on all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polymodal.cli.arguments import SetOption, TableArgument, check_output
from polymodal.cli.settings import Said, run_config
from polymodal.cli.terminal import complain, say, tabulate
from polymodal.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from polymodal.comparison.result import Comparison
    from polymodal.training.callbacks import Callback

TargetOption = Annotated[
    list[str] | None, typer.Option(metavar="COL", help="The column to predict. Repeated: several columns of numbers.")
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        metavar="COL", help="The column that says train, validation or test; folds leave its test rows alone."
    ),
]
GroupOption = Annotated[
    str | None, typer.Option(metavar="COL", help="The column whose equal cells belong in one fold.")
]
DropOption = Annotated[
    list[str] | None, typer.Option(metavar="COL", help="A column not to learn from. May be repeated.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("-c", "--config", metavar="FILE", help="A run.yaml; options and --set overrule it.")
]
SeedOption = Annotated[int | None, typer.Option(help="Decides everything that is random.")]
CacheOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A folder that keeps decoded media for later runs.")
]
BudgetOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Stop after so long, such as 15m, with what there is.")
]


def compare(  # noqa: PLR0913 - the options of a command
    table: TableArgument,
    *,
    target: TargetOption = None,
    split: SplitOption = None,
    group: GroupOption = None,
    drop: DropOption = None,
    fusion: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A fusion, or: all. May be repeated; the first is what others are held to."),
    ] = None,
    timing: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A timing, or: all. May be repeated.")
    ] = None,
    entry: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="A YAML file with settings of your own. May be repeated."),
    ] = None,
    singles: Annotated[bool, typer.Option("--singles/--no-singles", help="Each input by itself.")] = True,
    ablations: Annotated[bool, typer.Option("--ablations/--no-ablations", help="All inputs but one.")] = True,
    folds: Annotated[int, typer.Option(help="1: the split of the configuration, whose test rows are measured.")] = 3,
    repeats: Annotated[int, typer.Option(help="Repeat the folds with other seeds.")] = 1,
    full: Annotated[
        bool, typer.Option("--full", help="Train as `train` does; else for half of the epochs, the best of them kept.")
    ] = False,
    budget: BudgetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    seed: SeedOption = None,
    cache: CacheOption = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="A folder for comparison.json and comparison.svg."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="DIR may hold an older comparison.")] = False,
) -> None:
    """Compare fusions, timings and inputs on the same folds, and say whether they differ."""
    settings = run_config(config, Said(target, split, group, drop, seed, assignments))
    own = _entries(entry or ())
    from polymodal.comparison import files
    from polymodal.comparison.compare import compare as run

    if output is not None:
        files.check_folder(output, overwrite=overwrite)
    found = run(
        table,
        fusions=fusion or (),
        timings=timing or (),
        entries=own,
        singles=singles,
        ablations=ablations,
        folds=folds,
        repeats=repeats,
        full=full,
        budget=budget,
        config=settings,
        cache=cache,
        watch=_watch,
        tell=complain,
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


def cross_validate(  # noqa: PLR0913 - the options of a command
    table: TableArgument,
    *,
    target: TargetOption = None,
    split: SplitOption = None,
    group: GroupOption = None,
    drop: DropOption = None,
    folds: Annotated[int, typer.Option(help="Every row is for test once.")] = 5,
    repeats: Annotated[int, typer.Option(help="Repeat the folds with other seeds.")] = 1,
    budget: BudgetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    seed: SeedOption = None,
    cache: CacheOption = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Measure one setting on every row: trained anew for each fold, as `train` does."""
    settings = run_config(config, Said(target, split, group, drop, seed, assignments))
    if json_file is not None:
        check_output(json_file, table, what="the figures")
    from polymodal.comparison.cross_validation import cross_validate as run

    found = run(
        table,
        folds=folds,
        repeats=repeats,
        budget=budget,
        config=settings,
        cache=cache,
        watch=_watch,
        tell=complain,
    )
    tabulate(*found.table())
    say()
    say(f"{found.rows} rows measured, in {found.seconds:.0f} seconds.")
    for remark in found.remarks:
        say(remark)
    if json_file is not None:
        _write(found.to_dict(), json_file)


def _watch(_phase: str, epochs: int, metric: str) -> Sequence[Callback]:
    from polymodal.training.callbacks import Progress

    return [Progress(epochs, metric=metric)]


def _entries(words: Sequence[str]) -> dict[str, Any]:
    """`NAME=FILE`: configurations of the user's own, read before anything is trained."""
    from polymodal import config as configuration

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
    for remark in found.remarks:
        say(remark)
    if found.ended != "complete":
        say(
            {"budget": "The budget is spent.", "interrupted": "Interrupted."}[found.ended]
            + " What follows is of what was done by then."
        )
    say()
    say(found.verdict)


def _write(figures: dict[str, Any], path: Path) -> None:
    try:
        path.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"Cannot write the figures to {path}: {error.strerror}.") from error
