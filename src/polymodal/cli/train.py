"""`polymodal train`: from a table to a folder with the trained model and all that tells how it came about."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from polymodal.cli import arguments
from polymodal.cli.runfolder import BUNDLE, CLEAN, CONFIG, LOG, REJECTS, REPORT, TENSORBOARD, run_folder
from polymodal.cli.terminal import complain, count_rows, print_metrics, say, tabulate
from polymodal.config.duration import in_words
from polymodal.errors import MissingExtraError

if TYPE_CHECKING:
    from polymodal.metrics.results import RowCounts
    from polymodal.pipeline.run import Run
    from polymodal.training.callbacks import Callback

_SHOWN_REJECTS = 5
_FEW_ROWS = 20_000  # for training: pretrained encoders are mostly better


def train(  # noqa: PLR0913 - the options of a command
    table: arguments.TableArgument,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="RUN", help="The folder to make: run.yaml, logs and the bundle."),
    ],
    *,
    target: arguments.TargetsOption = None,
    split: arguments.SplitOption = None,
    group: arguments.GroupOption = None,
    drop: arguments.DropOption = None,
    config: arguments.ConfigOption = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="BUNDLE", help="A trained model, of which the new one takes what fits."),
    ] = None,
    assignments: arguments.SetOption = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="fast: a first look; default; best: an ensemble of networks, trained longer. scratch, or pretrained: "
            "start from small public checkpoints. May be repeated.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Time for all of it, such as 10m: what fits is planned from measured speed."),
    ] = None,
    seed: arguments.SeedOption = None,
    cache: arguments.CacheOption = None,
    plotly: Annotated[bool, typer.Option("--plotly", help="Figures of the report that move; adds 5 MB to it.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also log for TensorBoard, to RUN/tensorboard.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="RUN may hold an older run; replace it.")] = False,
) -> None:
    """Train a model on a table."""
    settings = arguments.run_config(
        config, arguments.Overrides(target, split, group, drop, seed, assignments, preset, start, budget)
    )
    with run_folder(output, overwrite=overwrite):
        from polymodal.pipeline.run import train as train_model
        from polymodal.training.callbacks import clear_events, require_tensorboard

        if tensorboard:
            require_tensorboard()  # before the training
        clear_events(output / TENSORBOARD)
        watching = _Watching(output, tensorboard=tensorboard)
        run = train_model(table, settings, make_callbacks=watching, cache=cache)
        if not watching.phases:  # scikit-learn does not tell how it learns
            (output / LOG).unlink(missing_ok=True)  # of an older run
        if run.history.interrupted and not run.history.epochs:
            raise KeyboardInterrupt  # before anything was learned
        size = _write(run, output)
        reported = _report(run, output, plotly=plotly)
        _print(run, output, size=size, reported=reported)
    if run.history.interrupted:
        raise typer.Exit(130)


class _Watching:
    """Makes what looks on at each training: the log, the progress line, and files for TensorBoard."""

    def __init__(self, folder: Path, *, tensorboard: bool) -> None:
        from polymodal.training.progress import RunProgress

        self.folder, self.tensorboard = folder, tensorboard
        self.progress, self.phases = RunProgress(verbose=True), list[str]()

    def expect(self, searches: int, *, refits: int, refit_epochs: float) -> None:
        self.progress.expect(searches, refits=refits, refit_epochs=refit_epochs)

    def __call__(self, phase: str, epochs: int, metric: str) -> Sequence[Callback]:
        from polymodal.training.callbacks import JsonLog, TensorBoard

        log = JsonLog(self.folder / LOG, phase=phase, append=bool(self.phases))
        board = [TensorBoard(self.folder / TENSORBOARD / quote(phase, safe=""))] if self.tensorboard else []
        self.phases.append(phase)
        return [log, *self.progress(phase, epochs, metric), *board]


def _write(run: Run, folder: Path) -> int:
    """Leaves the run in its folder, the bundle first: if that fails, an older run stays as it was. Returns its size."""
    from polymodal.bundles import bundle
    from polymodal.config import run_config as configuration
    from polymodal.data.cells.prepare import write_records

    size = bundle.save(run.bundle, folder / BUNDLE)
    write_records(run.rejects, folder / REJECTS)
    (folder / CLEAN).unlink(missing_ok=True)  # of an older run
    if run.cleaned:
        write_records(run.cleaned, folder / CLEAN)
    configuration.write(run.bundle.config, folder / CONFIG)
    return size


def _report(run: Run, folder: Path, *, plotly: bool) -> bool:
    """Writes the report where what it is drawn with is installed; else takes away that of an older run."""
    from polymodal.report.page import write

    try:
        write(run, folder / REPORT, bundle=folder / BUNDLE, interactive=plotly)
    except MissingExtraError as error:
        (folder / REPORT).unlink(missing_ok=True)
        complain(str(error))
        return False
    return True


def _print(run: Run, folder: Path, *, size: int, reported: bool) -> None:
    metrics = run.bundle.metrics
    if run.history.interrupted:
        say(f"Interrupted after {len(run.history.epochs)} epochs; the best of them, {run.history.best_epoch}, is kept.")
    for alert in metrics.alerts:
        say(f"Warning: {alert.text}")
    if metrics.alerts:
        say()
    gap = any(alert.kind == "validation_gap" for alert in metrics.alerts)
    beside = {"model, validation": metrics.validation} if gap else {}
    print_metrics({f"model, {metrics.side}": metrics.measured, **beside, **metrics.baselines.shown})
    say()
    if metrics.verdict is not None:
        say(metrics.verdict.text)
    if not run.branches and not run.history.interrupted and run.history.epochs:
        say(run.history.choice(run.bundle.config.train.early_stopping.metric or "", metrics.rows.validation))
    say(_rows(metrics.rows))
    say(f"Time: {in_words(run.seconds)}, CPU time {in_words(run.cpu_seconds)}")
    for note in run.notes:
        say(note)
    say()
    schema = run.bundle.schema
    encoders = {name: entry.encoder for entry in schema.inputs for name in entry.columns}
    tabulate(
        ("column", "read as", "encoder", "why"),
        [(c.name, c.modality or "left out", encoders.get(c.name, "-"), c.reason) for c in schema.columns],
    )
    _print_rejects(run, folder)
    _print_hint(run)
    say()
    if reported:
        say(f"Report: {folder / REPORT}")
    weight = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
    say(f"Bundle: {folder / BUNDLE} ({weight})")
    say(f"Next: polymodal predict {shlex.quote(str(folder / BUNDLE))} NEW.csv -o predictions.csv")


def _rows(counts: RowCounts) -> str:
    """Where every row of the table went."""
    parts = {
        "train": counts.train,
        "validation": counts.validation,
        "test": counts.test,
        "without a target": counts.unlabelled,
        "with an unreadable target": counts.unreadable_target,
        "dropped for unreadable cells": counts.dropped,
        "dropped by clean": counts.cleaned,
    }
    unknown = counts.unknown_class
    note = f" ({unknown} of them not measured: their class is not in train)" if unknown else ""
    return f"Rows: {count_rows(parts)}{note}"


def _print_hint(run: Run) -> None:
    """One line where installed weights would probably do better."""
    from polymodal.bundles.card import checkpoint_of
    from polymodal.config import presets

    inputs = {
        one.name: (one.modality, one.encoder) for one in run.bundle.schema.inputs if checkpoint_of(one.settings) is None
    }
    names = presets.left_out(run.bundle.config, inputs)
    if names and run.bundle.metrics.rows.train < _FEW_ROWS:
        say()
        say(
            f"Hint: {', '.join(names)}: trained from random weights. Pretrained encoders are installed and mostly "
            "better with so few rows: add --preset pretrained."
        )


def _print_rejects(run: Run, folder: Path) -> None:
    if not run.rejects:
        return
    config = run.bundle.config
    became = "their rows were dropped" if config.bad_cells == "drop" else "counted as missing"
    of_target = sum(reject.column in config.targets for reject in run.rejects)
    parts = {became: len(run.rejects) - of_target, "of the target, not learned from": of_target}
    counted = "; ".join(
        f"{count} {'cell' if count == 1 else 'cells'} could not be read, {what}"
        for what, count in parts.items()
        if count
    )
    say()
    say(f"Rejects: {counted}. All are in {folder / REJECTS}.")
    first = run.rejects[:_SHOWN_REJECTS]
    tabulate(("file", "row", "column", "reason"), [(r.file, str(r.row), r.column, r.reason) for r in first])
