"""Looks at a table before training: its columns, what may be wrong, which inputs predict the target."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from polymodal import registry
from polymodal.config.run_config import Part, RunConfig
from polymodal.data.audit.classes import without_test
from polymodal.data.audit.finding import Finding
from polymodal.data.audit.inspection import Inspection, inspect_table
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.cells.dataset import Dataset
from polymodal.data.cells.prepare import fit_statistics, modality_of, prepare
from polymodal.data.columns.profile import column_profiler
from polymodal.data.tables.table import read_table
from polymodal.data.target.cells import target_cells
from polymodal.errors import ConfigError, PolymodalError
from polymodal.evaluation.input_tests import MOST_ROWS
from polymodal.metrics.alerts import Alert
from polymodal.metrics.results import InputTest
from polymodal.models.build import task_of
from polymodal.pipeline.choices import Choices, choose, choose_task
from polymodal.pipeline.odd_target import odd_classes
from polymodal.pipeline.problem import encode_targets
from polymodal.pipeline.selection import Selection, select_inputs
from polymodal.pipeline.split_column import with_split_column
from polymodal.schema import Schema


def inspect(source: object, *, config: RunConfig = RunConfig(), media: bool = True) -> Inspection:  # noqa: B008 - frozen
    """Every column of a table: what it is and why, missing share, values; what is wrong; which inputs tell nothing.

    Args:
        source: whatever `read_table` takes.
        config: what is known already, such as the split, and the target: with it every input is tested.
        media: decode pictures, recordings and the like, to find those that are unreadable, odd or nearly the same, and
            to test inputs of them.

    >>> print(inspect({"size": [1.5, 2.5], "tag": ["a", "a"]}).columns[1].column.kind)
    constant
    """
    table = read_table(source, text=config.table)
    known = set(config.targets) <= set(table.names)  # a wrong name is told where columns are looked at
    values = target_cells(table, config.targets[0]) if known and len(config.targets) == 1 else None
    config, alerts = with_split_column(table, config, values)
    profile = column_profiler(table, config.limits)
    task = _task(values, config)
    found = inspect_table(table, config=config.model_copy(update={"task": task}), media=media, profile=profile)
    odd = odd_classes(values, config, task)
    found = found if odd is None else found.with_findings([odd])
    found = found.with_findings([_of_split(alert, used=config.split.column is not None) for alert in alerts])
    if not config.targets:
        return found
    try:
        choices = choose(table, config, profile, tuple(one.column for one in found.columns))
        if not media and _has_media(choices):
            return found
        selection, num_rows = _select(choices)
    except ConfigError:  # a training would refuse it, whatever the table
        raise
    except PolymodalError as error:  # a table that cannot be learned from yet is what this looks for
        return found.with_findings(
            [Finding("input_tests", "note", f"The inputs were not tested: {error}", "A training would say the same.")]
        )
    found = replace(found, input_tests=selection.tests)
    return found.with_findings([*_findings(choices, selection, num_rows), *_of_classes(choices)])


def _has_media(choices: Choices) -> bool:
    """Whether some column of an input is read from media; an input of several columns is no modality itself."""
    names = {name for one in choices.inputs for name in one.columns}
    read = {column.modality for column in choices.columns if column.name in names}
    return any(registry.load("modalities", modality).media for modality in read if modality is not None)


def _task(values: Sequence[object] | None, config: RunConfig) -> Part:
    """The task that a training would choose, if it can."""
    try:
        return choose_task(values, config)
    except PolymodalError:  # told where the choices are made
        return config.task


def _of_classes(choices: Choices) -> Iterator[Finding]:
    """Classes without test rows by the split that a training would draw; one that a column says was audited already."""
    if choices.config.split.column is None:
        sides, table = choices.split.sides(choices.table.num_rows), choices.table
        rows = np.arange(table.num_rows)
        yield from without_test(AuditedTable(table, rows, choices.columns, choices.config, {}, given_sides=sides))


def _of_split(alert: Alert, *, used: bool) -> Finding:
    """What a training would say of a column that says train and test."""
    what, _, advice = alert.text.removeprefix(f"{alert.columns[0]} ").partition(". ")
    return Finding("split_column", "note" if used else "warning", f"{what}.", advice, alert.columns)


def _select(choices: Choices) -> tuple[Selection, int]:
    """Tests the inputs as a training would, on no more cells than that takes; and the number of rows."""
    config, values, train = choices.config, choices.values, choices.split.train
    rows = np.array([row for row in train.tolist() if values is None or values[row] is not None], dtype=np.int64)
    rows = np.sort(np.random.default_rng(config.seed).permutation(rows)[:MOST_ROWS])
    table, every = choices.table.take(rows), np.arange(len(rows))
    target = choices.target(train)
    task = task_of(target)
    targets = encode_targets(task, None if values is None else [values[row] for row in rows])
    with tempfile.TemporaryDirectory(prefix="polymodal-") as folder:  # decoded media need not fit into memory
        prepared = prepare(
            table, choices.columns, limits=config.limits, bad_cells="missing", cache=Path(folder), with_notes=False
        )
        columns = fit_statistics(choices.columns, prepared, every, together=choices.together)
        schema = Schema(columns=columns, inputs=choices.inputs, target=target)
        modalities = {column.name: modality_of(column) for column in schema.features()}
        return select_inputs(schema, config, Dataset(prepared, modalities, task, targets), every), len(rows)


def _findings(choices: Choices, selection: Selection, num_rows: int) -> Iterator[Finding]:
    """One on each input that does not predict the target, or is a copy of another."""
    kept = {one.name for one in selection.schema.inputs}
    none = not any(found.useful for found in selection.tests.values())
    for one in choices.inputs:
        found = selection.tests.get(one.name)
        if found is None or found.useful:
            continue
        what = f"has the same cells as {found.copy_of!r} in every training row."
        if found.copy_of is None:
            what = (
                f"does not predict {', '.join(choices.config.targets)!r}, by permutation tests on {num_rows} training "
                f"rows: {_of_p(found)}."
            )
        if one.name not in kept:
            advice = "A training leaves it out; inputs.keep would keep it."
        elif none:
            advice = "No other input does either: the model may be no better than chance."
        else:
            advice = "Your settings keep it in the model."
        yield Finding("input_tests", "warning", what, advice, one.columns)


def _of_p(found: InputTest) -> str:
    together = "" if found.p_together is None else f", {found.p_together:.2g} together with another input"
    return f"p {found.p_value:.2g} by itself{together}"
