"""`polymodal cross-validate`: one setting on all folds."""

from __future__ import annotations

from typing import Annotated

import typer

from polymodal.cli.arguments import (
    BudgetOption,
    CacheOption,
    ConfigOption,
    DropOption,
    FoldsSplitOption,
    GroupOption,
    JsonOption,
    SeedOption,
    SetOption,
    TableArgument,
    TargetsOption,
    check_output,
)
from polymodal.cli.figures import write_figures
from polymodal.cli.settings import Overrides, run_config
from polymodal.cli.terminal import complain, say, tabulate, watch


def cross_validate(  # noqa: PLR0913 - the options of a command
    table: TableArgument,
    *,
    target: TargetsOption = None,
    split: FoldsSplitOption = None,
    group: GroupOption = None,
    drop: DropOption = None,
    folds: Annotated[int, typer.Option(help="Every row is for test once.")] = 5,
    repeats: Annotated[int, typer.Option(help="Repeat the folds with other seeds.")] = 1,
    budget: BudgetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    seed: SeedOption = None,
    cache: CacheOption = None,
    json_file: JsonOption = None,
) -> None:
    """Measure one setting on every row: trained anew for each fold, as `train` does."""
    settings = run_config(config, Overrides(target, split, group, drop, seed, assignments))
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
        watch=watch,
        tell=complain,
    )
    tabulate(*found.table())
    say()
    say(f"{found.rows} rows measured, in {found.seconds:.0f} seconds.")
    for remark in found.remarks:
        say(remark)
    if json_file is not None:
        write_figures(found.to_dict(), json_file)
