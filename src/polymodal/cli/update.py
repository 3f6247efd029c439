"""`polymodal update`: a trained model and new rows in, a model that learned from them too out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polymodal.cli.arguments import BundleArgument
from polymodal.cli.terminal import complain, count_rows, make_callbacks, print_metrics, say
from polymodal.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from polymodal.bundles.bundle import Bundle
    from polymodal.updating.update import Update


def update(
    bundle: BundleArgument,
    table: Annotated[Path, typer.Argument(metavar="NEW_ROWS", help="A table of new rows, with the target.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="NEW_BUNDLE", help="The folder to write the new model to.")
    ],
    *,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="OLD_ROWS", help="The table of the training: against forgetting, and to measure it."),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="A setting of the update, such as update.epochs=3. May be repeated."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="NEW_BUNDLE may hold a bundle, even the old one; replace it.")
    ] = False,
) -> None:
    """Let a trained model learn from new rows, without forgetting the old ones."""
    _check_output(output, overwrite=overwrite)
    from polymodal.bundles.bundle import load, save
    from polymodal.updating.update import update as update_model

    trained = _with_settings(load(bundle), assignments or [])
    found = update_model(trained, table, replay=replay, make_callbacks=lambda epochs: make_callbacks("", epochs, ""))
    save(found.bundle, output)
    _print(found, replay=replay)
    say()
    say(f"Bundle: {output}")
    say(f"Next: polymodal predict {shlex.quote(str(output))} NEW.csv -o predictions.csv")


def _check_output(folder: Path, *, overwrite: bool) -> None:
    """Before the work: nothing is replaced that nobody said may go."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / "manifest.json").is_file():
        raise UsageError(f"{folder} holds something else than a bundle. Choose a folder that is new or empty.")
    if not overwrite:
        raise UsageError(f"{folder} holds a bundle. Choose another folder, or add --overwrite.")


def _with_settings(bundle: Bundle, assignments: list[str]) -> Bundle:
    """The bundle with what `--set` says of the update; nothing else of a trained model can be set."""
    from dataclasses import replace

    from polymodal.config import run_config as configuration

    for assignment in assignments:
        if not assignment.startswith("update."):
            raise ConfigError(f"--set {assignment}: an update takes settings of `update`, such as update.epochs=3.")
    return replace(bundle, config=configuration.override(bundle.config, assignments))


def _print(found: Update, *, replay: Path | None) -> None:
    new, old, rows = found.entry.new, found.entry.old, found.entry.rows
    reports = {
        "new rows, before": new.before,
        "new rows, after": new.after,
        "old rows, before": old.before,
        "old rows, after": old.after,
    }
    print_metrics({title: report for title, report in reports.items() if report})
    say()
    counted = {
        "learned from": rows.learned,
        "held out and measured": rows.held_out,
        "without a target": rows.unlabelled,
        "dropped for unreadable cells": rows.dropped,
    }
    say(f"New rows: {count_rows(counted)}")
    if replay is not None:
        say(f"Old rows: {rows.replayed} learned from again, {rows.old_held_out} held out and measured")
    if found.rejects:
        first = found.rejects[0]
        say(f"Rejects: {len(found.rejects)} cells could not be read, the first: {first.column} of {first.file}, "
            f"row {first.row}: {first.reason}")  # fmt: skip
    for note in found.notes:
        say(note)
    if replay is None:
        complain(
            "No old rows were given: what the model forgets is neither held back nor measured. "
            "Add --replay with the table of the training."
        )
