"""Arguments and options that several commands take, and the configuration that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polymodal.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from polymodal.config.run_config import RunConfig

TableArgument = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE", help="A .csv, .tsv, .jsonl, .parquet or .arrow file, or a folder of Parquet files."
    ),
]
BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A trained model: the folder RUN/bundle.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="One setting, such as train.epochs=5. May be repeated."),
]
TargetsOption = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="COL", help="The column to predict. Repeated: several columns of numbers."),
]
SplitOption = Annotated[
    str | None, typer.Option("--split", metavar="COL", help="The column that says train, validation or test.")
]
FoldsSplitOption = Annotated[
    str | None,
    typer.Option(
        "--split", metavar="COL", help="The column that says train, validation or test; folds leave test rows alone."
    ),
]
GroupOption = Annotated[
    str | None,
    typer.Option(
        "--group", metavar="COL", help="The column whose equal cells stay together, on one side or in one fold."
    ),
]
DropOption = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="COL", help="A column not to learn from, beside those of a file. May be repeated."),
]
ConfigOption = Annotated[
    Path | None, typer.Option("-c", "--config", metavar="FILE", help="A run.yaml; options and --set overrule it.")
]
DecodingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--decoding",
        metavar="NAME=VALUE",
        help="Of a model that writes: another search, or its setting: name=beam, width=8. May be repeated.",
    ),
]
RepeatsOption = Annotated[int, typer.Option("--repeats", help="Repeat the folds with other seeds.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Decides everything that is random.")]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", metavar="DIR", help="A folder that keeps decoded media for later runs.")
]
BudgetOption = Annotated[
    str | None, typer.Option("--budget", metavar="TIME", help="Stop after so long, such as 15m, with what there is.")
]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures to this file.")]


@dataclass(frozen=True)
class Overrides:
    """What the options of a command say; None, and empty lists, say nothing. `assignments` are those of `--set`."""

    target: Sequence[str] | None = None
    split: str | None = None
    group: str | None = None
    drop: Sequence[str] | None = None
    seed: int | None = None
    assignments: Sequence[str] | None = None
    preset: Sequence[str] | None = None
    warm_start: Path | None = None
    budget: str | None = None


def run_config(file: Path | None, said: Overrides) -> RunConfig:
    """The configuration: the file, then the options, then `--set`.

    Raises:
        ConfigError: unknown keys and wrong values, all of them.
        UsageError: an option that names a column is empty.
    """
    from polymodal.config import run_config as configuration
    from polymodal.config.problems import collecting_errors

    _check_names(said)
    problems: list[str] = []
    config = configuration.RunConfig()
    with collecting_errors(problems):
        config = config if file is None else configuration.read(file)
    values = config.model_dump(mode="json")
    values["drop"] = list(dict.fromkeys([*config.drop, *(said.drop or ())]))
    values |= {"target": list(said.target)} if said.target else {}
    values |= {"seed": said.seed} if said.seed is not None else {}
    values |= {"preset": list(said.preset)} if said.preset else {}
    values |= {"budget": said.budget} if said.budget is not None else {}
    values["split"] |= {} if said.split is None else {"column": said.split}
    values["split"] |= {} if said.group is None else {"by": said.group, "method": "group"}
    values["warm_start"] |= {} if said.warm_start is None else {"bundle": str(said.warm_start)}
    with collecting_errors(problems):
        config = configuration.make(values, source="options")
    with collecting_errors(problems):
        config = configuration.override(config, list(said.assignments or ()))
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def _check_names(said: Overrides) -> None:
    """Checks that options which name columns do not name nothing, as `--target=$COLUMN` of an unset variable does.

    Raises:
        UsageError: an option does.
    """
    single = {"--split": said.split, "--group": said.group}
    named = {"--target": said.target or (), "--drop": said.drop or ()}
    for option, names in {**named, **{key: (name,) for key, name in single.items() if name is not None}}.items():
        if not all(name.strip() for name in names):
            raise UsageError(f"{option} names no column: it is followed by nothing. Write {option} COL.")


def check_output(path: Path, table: Path, *, what: str) -> None:
    """Checks before the work that a result can be written there.

    Raises:
        UsageError: there is no such folder, or the table itself stands there.
    """
    if not path.parent.is_dir():
        raise UsageError(f"Cannot write {what} to {path}: there is no folder {path.parent}.")
    if path.exists() and table.exists() and path.samefile(table):
        raise UsageError(f"{path} is the table itself; choose another file for {what}.")


def decoding_of(settings: Sequence[str] | None, n_best: int | None = None) -> dict[str, Any] | None:
    """What is asked of the search for texts; None: what the model does.

    Raises:
        UsageError: a setting is not NAME=VALUE.
    """
    import yaml

    asked: dict[str, Any] = {} if n_best is None else {"n_best": n_best}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise UsageError(f"--decoding {setting}: give NAME=VALUE, such as width=8.")
        asked[name] = yaml.safe_load(value)
    return asked or None
