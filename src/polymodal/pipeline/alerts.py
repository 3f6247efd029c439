"""What the figures of a finished training say against themselves, as alerts that a user reads first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from polymodal.data.audit.grouping import grouping_column
from polymodal.data.audit.held_out import FEWEST_OTHERS
from polymodal.data.audit.subject import AuditedTable
from polymodal.data.audit.summary_rows import summary_rows
from polymodal.data.audit.target_leakage import ALONE, FEWEST, nearly_all, share_told, well_above
from polymodal.metrics.alerts import Alert, lone_column, predicts_alone
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.direction import greater_is_better
from polymodal.metrics.figures import between, figure
from polymodal.metrics.results import Baselines, Report, SubsetResult, SubsetResults
from polymodal.pipeline.problem import Problem

_CHANCE = 0.01  # of a gap between validation and test
_MARGIN = 0.02  # of metrics that rise to 1, else this share of the value: a smaller gap is not worth a warning
_LEVEL = 0.05  # of masked inputs, over all subsets
_WIDTH = 2 * 1.959964  # of a 95 % interval, in standard errors
_NAMED = 5
_BASELINE = "a linear model of it"


@dataclass(frozen=True)
class Measured:
    """The figures that alerts are made of.

    Attributes:
        num_validation: rows that `validation` is measured on; num_test: those of `test`.
    """

    problem: Problem
    validation: Report
    test: Report
    baselines: Baselines
    subsets: SubsetResults | None
    num_validation: int
    num_test: int

    def alerts(self) -> tuple[Alert, ...]:
        """Those of the problem, then those of the figures; of one column only the first."""
        found = list(self.problem.alerts)
        known = {column for alert in found for column in alert.columns if alert.kind == "target_leakage"}
        found += [alert for alert in self._lone_inputs() if alert.columns[0] not in known]
        return (*found, *self._gap(), *self._masking())

    def _lone_inputs(self) -> Iterator[Alert]:
        """Inputs of one column with which a linear model tells nearly all test rows."""
        target = ", ".join(self.problem.config.targets)
        if self.num_test < FEWEST:
            return
        majority = self.baselines.reports.get("majority", {}).get("accuracy")
        for one in self.problem.schema.inputs:
            report = self.baselines.linear_by_input.get(one.name, {})
            accuracy, r2 = report.get("accuracy"), report.get("r2")
            if len(one.columns) > 1:
                continue  # it takes several columns
            if accuracy is not None and majority is not None:
                others = (1 - majority.value) * self.num_test
                nearly = nearly_all(accuracy.value, majority.value, self.num_test)
                if nearly and well_above(accuracy.value, majority.value) and others >= FEWEST_OTHERS:
                    told = share_told(accuracy.value, self.num_test)
                    yield lone_column(one.columns[0], predicts_alone(target, told, _BASELINE))
            elif r2 is not None and r2.value >= ALONE and not self._tests_summaries():
                told = f"with R² {r2.value:.3f}"
                yield lone_column(one.columns[0], predicts_alone(target, told, _BASELINE))

    def _tests_summaries(self) -> bool:
        """Whether a test row sums others up: it is so far from all others that it alone makes R² great."""
        problem = self.problem
        rows = np.arange(problem.table.num_rows)
        subject = AuditedTable(problem.table, rows, problem.schema.columns, problem.config, {})
        return bool(np.isin(problem.split.test, summary_rows(subject)).any())

    def _gap(self) -> Iterator[Alert]:
        """Validation rows that are predicted far better than test rows."""
        metric = self.problem.task.metric
        seen, held = self.validation.get(metric), self.test.get(metric)
        if seen is None or held is None:
            return
        rises = greater_is_better(self.problem.task.greater_is_better, metric)
        gap = (seen.value - held.value) * (1 if rises else -1)
        margin = _MARGIN if rises else _MARGIN * abs(held.value)
        error = math.hypot(_error(seen, self.num_validation, rises), _error(held, self.num_test, rises))
        if gap < margin or math.erfc(gap / (error * math.sqrt(2))) >= _CHANCE:
            return
        figures = (
            f"{metric} is {figure(seen.value)} on validation rows and {figure(held.value)} on test rows, a gap beyond "
            "chance: trust the test rows."
        )
        columns, why = self._reason()
        yield Alert(kind="validation_gap", columns=columns, text=f"{figures} {why}")

    def _reason(self) -> tuple[tuple[str, ...], str]:
        """The likely reason of a gap, with the column to group by."""
        problem, split = self.problem, self.problem.config.split
        if split.method in ("group", "time"):
            return (), "They may be of another kind than what was learned from: see `polymodal inspect`."
        roles = {*problem.config.targets, problem.config.weight, split.column, split.by}
        likely = "Likely train and validation hold rows of the same things (people, products, recordings)"
        if name := grouping_column(problem.table, problem.split, other_than={role for role in roles if role}):
            return (name,), f"{likely}, and test holds others: {name} says so. Group by it: --group {name}."
        return (), f"{likely}. Name the column that says which rows belong together: --group COLUMN."

    def _masking(self) -> Iterator[Alert]:
        """The subset of the inputs with which the model does better than with all of them, beyond chance."""
        if self.subsets is None:
            return
        metric = self.subsets.metric
        sign = 1 if greater_is_better(self.problem.task.greater_is_better, metric) else -1
        lines = [(line, line.change) for line in self.subsets.subsets if line.change is not None]
        better = [
            (sign * change.value, line)
            for line, change in lines
            if sign * change.value > 0 and _two_sided(change) * len(lines) < _LEVEL
        ]
        whole = self.subsets.subsets[0]
        if better and metric in whole.metrics:
            yield self._masked(whole, max(better, key=lambda one: one[0])[1], metric)

    def _masked(self, whole: SubsetResult, line: SubsetResult, metric: str) -> Alert:
        names = " + ".join(line.inputs) + (" alone" if len(line.inputs) == 1 else "")
        value, of_all = line.metrics[metric].value, whole.metrics[metric].value
        inputs = {one.name: one.columns for one in self.problem.schema.inputs}
        columns = [column for name in whole.inputs if name not in line.inputs for column in inputs[name]]
        drop = " ".join(f"--drop {column}" for column in columns[:_NAMED]) + (" ..." if len(columns) > _NAMED else "")
        change = "" if line.change is None else f" ({between(line.change, signed=True)})"
        text = (
            f"{names}: {metric} {figure(value)}, all inputs {figure(of_all)}{change}. Masking inputs helps: try a run "
            f"without the others: {drop}."
        )
        return Alert(kind="masked_inputs", columns=tuple(columns), text=text)


def _error(interval: Interval, num_rows: int, rises: bool) -> float:
    """Standard error of a metric, from its interval; of a share never that of no error at all (Laplace's rule)."""
    error = (interval.high - interval.low) / _WIDTH
    if rises and 0 <= interval.value <= 1:
        share = (interval.value * num_rows + 1) / (num_rows + 2)
        error = max(error, math.sqrt(share * (1 - share) / max(num_rows, 1)))
    return error or math.inf


def _two_sided(change: Interval) -> float:
    """P value of a change, from its 95 % interval."""
    error = (change.high - change.low) / _WIDTH
    return math.erfc(abs(change.value) / (error * math.sqrt(2))) if error else 1.0
