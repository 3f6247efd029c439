"""`polymodal evaluate`: how good a trained model is on a table whose answers are known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polymodal.cli.arguments import BundleArgument, DecodingOption, JsonOption, TableArgument, check_output, decoding_of
from polymodal.cli.terminal import print_metrics, say, tabulate, write_figures
from polymodal.errors import UsageError

if TYPE_CHECKING:
    from polymodal.bundles.bundle import Bundle
    from polymodal.metrics.results import Report, SubsetResults


def evaluate(
    bundle: BundleArgument,
    table: TableArgument,
    *,
    subsets: Annotated[
        bool,
        typer.Option(
            "--subsets", help="Also measure it with inputs masked: every subset of them, and at random from 0 to 100 %."
        ),
    ] = False,
    decoding: DecodingOption = None,
    json_file: JsonOption = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --subsets: also draw what they give, to an .svg file.")
    ] = None,
) -> None:
    """Measure a trained model on a table that has the target."""
    from polymodal.bundles.bundle import load
    from polymodal.inference.generation import searching

    if json_file is not None:
        check_output(json_file, table, what="the figures")
    if plot is not None:
        _check_plot(plot, table, subsets=subsets)
    trained = load(bundle)
    with searching(trained, decoding_of(decoding)):
        measured = _measure(trained, table, subsets=subsets)
    rows, found = measured.rows, measured.subsets
    if measured.seen:
        say(f"Warning: {_of_seen(measured)}")
        say()
    unseen = {"rows not seen": measured.unseen} if measured.unseen else {}
    print_metrics({table.name: measured.report, **unseen, "test rows of training": trained.metrics.test})
    say()
    say(
        f"Rows: {sum(rows.values())} = {rows['measured']} measured + {rows['unlabelled']} without a target"
        f" + {rows['unknown_class']} of a class that training did not have"
        + (f" + {rows['unreadable_target']} with an unreadable target" if "unreadable_target" in rows else "")
    )
    if found is not None:
        _print_subsets(found, greater_is_better=trained.task.greater_is_better[found.metric])
    if json_file is not None:
        write_figures(measured.figures(), json_file)
    if found is not None and plot is not None:
        from polymodal.report.subsets import save_subsets

        save_subsets(found, plot)
        say(f"Picture: {plot}")


def _check_plot(path: Path, table: Path, *, subsets: bool) -> None:
    """Before the work: it can be drawn and written."""
    from polymodal.report.drawing import require_matplotlib

    if not subsets:
        raise UsageError("--plot draws what --subsets measures; add --subsets.")
    if path.suffix.lower() != ".svg":
        raise UsageError(f"Cannot draw to {path}: the picture is an .svg file; name it so.")
    check_output(path, table, what="the picture")
    require_matplotlib()


@dataclass(frozen=True)
class _Measured:
    """What was measured on a table.

    Attributes:
        rows: where every row of the table went.
        seen: number of measured rows that the model learned from.
        unseen: metrics of the other rows, where there are both.
    """

    report: Report
    rows: dict[str, int]
    seen: int
    unseen: Report
    subsets: SubsetResults | None

    def figures(self) -> dict[str, Any]:
        """As JSON values."""
        found: dict[str, Any] = {"metrics": _plain(self.report), "rows": self.rows, "seen": self.seen}
        found |= {"metrics_not_seen": _plain(self.unseen)} if self.unseen else {}
        return found if self.subsets is None else {**found, "robustness": self.subsets.model_dump(mode="json")}


def _plain(report: Report) -> dict[str, dict[str, float]]:
    return {name: asdict(interval) for name, interval in report.items()}


def _of_seen(measured: _Measured) -> str:
    """What the user is told of rows that the model learned from."""
    count = measured.rows["measured"]
    if measured.seen == count:
        return (
            f"the model learned from all {count} rows: the figures do not hold for new ones. Use a table of new rows."
        )
    return (
        f"the model learned from {measured.seen} of {count} rows, on which it looks too good. "
        "Go by the column `rows not seen`."
    )


def _measure(bundle: Bundle, path: Path, *, subsets: bool) -> _Measured:
    """Metrics with intervals, where every row of the table went, and what `subsets` asks for.

    Raises:
        ColumnError: the table lacks the target or a column that the model uses.
        DataError: no row has a target that the model knows.
    """
    from polymodal.data.tables.table import read_table
    from polymodal.data.target.cells import target_cells
    from polymodal.evaluation.evaluate import truth_of
    from polymodal.evaluation.robustness import evaluate_subsets
    from polymodal.evaluation.seen_rows import SeenRows
    from polymodal.inference.predictor import Predictor

    task, target, seed = bundle.task, bundle.schema.target, bundle.config.seed
    assert target is not None, "a bundle with a task has a target"
    table = read_table(path, text=bundle.config.table)
    values = target_cells(table, target.column) if target.columns else None
    truth = truth_of(task, target, table, values)
    look = SeenRows(bundle, truth.encoded)
    for note in truth.notes:
        say(note)
    found = evaluate_subsets(bundle, table, truth.target) if subsets else None
    if found is not None and look.hashes is None:  # there is nothing to look for in the rows once more
        return _Measured(found.subsets[0].metrics, truth.counts, 0, {}, found)
    prediction = Predictor(bundle)(table, on_read=look).prediction
    seen = look.mask & truth.known
    report = truth.report(task, prediction, seed=seed)
    unseen = truth.report_of(truth.known & ~seen, task, prediction, seed=seed) if seen.any() else {}
    return _Measured(report, truth.counts, int(seen.sum()), unseen, found)


def _print_subsets(found: SubsetResults, *, greater_is_better: bool) -> None:
    from polymodal.bundles.card import in_brackets
    from polymodal.report.subsets import defined_rates, defined_subsets, missed, named

    metric = found.metric
    say()
    tabulate(
        ("inputs", metric, "change from all"),
        [
            (named(line.inputs, found), in_brackets(line.metrics[metric]), in_brackets(line.change))
            for line in defined_subsets(found)
        ],
    )
    if words := missed(found, greater_is_better=greater_is_better):
        say(words)
    say()
    tabulate(
        ("inputs masked at random", metric),
        [(f"{line.rate:.0%}", in_brackets(line.metrics[metric])) for line in defined_rates(found)],
    )
