"""`polymodal cross-validate`: one setting on all folds."""

from __future__ import annotations

from typing import Annotated

import typer

from polymodal.cli import arguments
from polymodal.cli.terminal import complain, make_callbacks, say, tabulate, write_figures


def cross_validate(  # noqa: PLR0913 - the options of a command
    table: arguments.TableArgument,
    *,
    target: arguments.TargetsOption = None,
    split: arguments.FoldsSplitOption = None,
    group: arguments.GroupOption = None,
    drop: arguments.DropOption = None,
    folds: Annotated[int, typer.Option(help="Every row is for test once.")] = 5,
    repeats: arguments.RepeatsOption = 1,
    budget: arguments.BudgetOption = None,
    config: arguments.ConfigOption = None,
    assignments: arguments.SetOption = None,
    seed: arguments.SeedOption = None,
    cache: arguments.CacheOption = None,
    json_file: arguments.JsonOption = None,
) -> None:
    """Measure one setting on every row: trained anew for each fold, as `train` does."""
    settings = arguments.run_config(config, arguments.Overrides(target, split, group, drop, seed, assignments))
    if json_file is not None:
        arguments.check_output(json_file, table, what="the figures")
    from polymodal.comparison.cross_validation import cross_validate as run

    found = run(
        table,
        folds=folds,
        repeats=repeats,
        budget=budget,
        config=settings,
        cache=cache,
        make_callbacks=make_callbacks,
        on_message=complain,
    )
    tabulate(*found.table())
    say()
    say(f"{found.rows} rows measured, in {found.seconds:.0f} seconds.")
    for note in found.notes:
        say(note)
    if json_file is not None:
        write_figures(found.to_dict(), json_file)
