"""`polymodal evaluate`: how good a trained model is on a table whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polymodal.cli.arguments import BundleArgument, TableArgument, check_output
from polymodal.cli.figures import print_metrics
from polymodal.cli.terminal import say
from polymodal.errors import BundleError, DataError, UsageError

if TYPE_CHECKING:
    from polymodal.bundle import Bundle


def evaluate(
    bundle: BundleArgument,
    table: TableArgument,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Measure a trained model on a table that has the target."""
    from polymodal.bundle import load

    if json_file is not None:
        check_output(json_file, table, what="the figures")
    trained = load(bundle)
    found = _measure(trained, table)
    rows = found["rows"]
    print_metrics({table.name: found["metrics"], "test rows of training": trained.metrics.get("test", {})})
    say()
    say(
        f"Rows: {sum(rows.values())} = {rows['measured']} measured + {rows['unlabelled']} without a target"
        f" + {rows['unknown_class']} of a class that training did not have"
    )
    if json_file is not None:
        try:
            json_file.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"Cannot write the figures to {json_file}: {error.strerror}.") from error


def _measure(bundle: Bundle, path: Path) -> dict[str, Any]:
    """Metrics with intervals, and where every row of the table went.

    Raises:
        ColumnError: the table lacks the target or a column that the model uses.
        DataError: no row has a target that the model knows.
    """
    from polymodal.data.table import read_table
    from polymodal.data.target import target_cells
    from polymodal.evaluation.evaluate import evaluate_scores
    from polymodal.metrics.bootstrap import known_rows
    from polymodal.model import Model
    from polymodal.predict import predict

    model, target = bundle.model, bundle.schema.target
    if target is None or not isinstance(model, Model):
        raise BundleError("This bundle predicts no column, so there is nothing to compare with.")
    table = read_table(path, text=bundle.config.table)
    values = target_cells(table, target.column)
    truth = model.head.encode_target(values, target.statistics)
    known = known_rows(truth)
    if not known.any():
        raise DataError(f"{table.source}: no cell of the target {target.name!r} holds a value that the model knows.")
    scores = predict(bundle, table).scores
    missing = sum(value is None for value in values)
    return {
        "metrics": evaluate_scores(model.head, scores[known], truth[known], seed=bundle.config.seed),
        "rows": {
            "measured": int(known.sum()),
            "unlabelled": missing,
            "unknown_class": len(values) - missing - int(known.sum()),
        },
    }
