"""`polymodal evaluate`: how good a trained model is on a table whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polymodal.cli.arguments import BundleArgument, JsonOption, TableArgument, check_output
from polymodal.cli.figures import print_metrics, write_figures
from polymodal.cli.terminal import say, tabulate
from polymodal.errors import BundleError, DataError, UsageError

if TYPE_CHECKING:
    from polymodal.bundle import Bundle


def evaluate(
    bundle: BundleArgument,
    table: TableArgument,
    *,
    subsets: Annotated[
        bool,
        typer.Option(
            "--subsets", help="Also measure it with inputs hidden: every subset of them, and at random from 0 to 100 %."
        ),
    ] = False,
    json_file: JsonOption = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --subsets: also draw what they give, to an .svg file.")
    ] = None,
) -> None:
    """Measure a trained model on a table that has the target."""
    from polymodal.bundle import load

    if json_file is not None:
        check_output(json_file, table, what="the figures")
    if plot is not None:
        _check_plot(plot, table, subsets=subsets)
    trained = load(bundle)
    found = _measure(trained, table, subsets=subsets)
    rows = found["rows"]
    print_metrics({table.name: found["metrics"], "test rows of training": trained.metrics.get("test", {})})
    say()
    say(
        f"Rows: {sum(rows.values())} = {rows['measured']} measured + {rows['unlabelled']} without a target"
        f" + {rows['unknown_class']} of a class that training did not have"
    )
    if subsets:
        _print_subsets(found["robustness"])
    if json_file is not None:
        write_figures(found, json_file)
    if plot is not None:
        _draw(found["robustness"], plot)


def _check_plot(path: Path, table: Path, *, subsets: bool) -> None:
    """Before the work: it can be drawn and written."""
    from polymodal.evaluation.report.drawing import require_matplotlib

    if not subsets:
        raise UsageError("--plot draws what --subsets measures; add --subsets.")
    if path.suffix.lower() != ".svg":
        raise UsageError(f"Cannot draw to {path}: the picture is an .svg file; name it so.")
    check_output(path, table, what="the picture")
    require_matplotlib()


def _measure(bundle: Bundle, path: Path, *, subsets: bool) -> dict[str, Any]:
    """Metrics with intervals, and where every row of the table went.

    Raises:
        ColumnError: the table lacks the target or a column that the model uses.
        DataError: no row has a target that the model knows.
    """
    from polymodal.data.table import read_table
    from polymodal.data.target import target_cells
    from polymodal.evaluation.evaluate import evaluate_scores
    from polymodal.evaluation.robustness import evaluate_subsets
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
    missing = sum(value is None for value in values)
    rows = {
        "measured": int(known.sum()),
        "unlabelled": missing,
        "unknown_class": len(values) - missing - int(known.sum()),
    }
    if subsets:
        found = evaluate_subsets(bundle, table, truth)
        return {"metrics": found["subsets"][0]["metrics"], "rows": rows, "robustness": found}
    scores = predict(bundle, table).scores
    metrics = evaluate_scores(model.head, scores[known], truth[known], seed=bundle.config.seed)
    return {"metrics": metrics, "rows": rows}


def _print_subsets(found: dict[str, Any]) -> None:
    from polymodal.card import in_brackets
    from polymodal.evaluation.report.subsets import defined, missed, named

    metric = found["metric"]
    say()
    tabulate(
        ("inputs", metric, "change from all"),
        [
            (named(line["inputs"]), in_brackets(line["metrics"][metric]), in_brackets(line["change"]))
            for line in defined(found, "subsets")
        ],
    )
    if words := missed(found):
        say(words)
    say()
    tabulate(
        ("inputs hidden at random", metric),
        [(f"{line['rate']:.0%}", in_brackets(line["metrics"][metric])) for line in defined(found, "hidden")],
    )


def _draw(found: dict[str, Any], path: Path) -> None:
    from polymodal.evaluation.report.drawing import save_picture
    from polymodal.evaluation.report.subsets import paint_rates, paint_subsets, picture_height

    figures = {"By the inputs that are there": paint_subsets(found), "Hidden at random": paint_rates(found)}
    save_picture(path, figures, height=picture_height(found))
    say(f"Picture: {path}")
