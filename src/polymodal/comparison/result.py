"""What a comparison found, as data: lines, differences, findings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from polymodal.comparison.entries import Entry
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.figures import between, of_p
from polymodal.metrics.significance import Difference

Status: TypeAlias = Literal["done", "stopped", "failed", "not run"]

SCHEMA = 1
"""Version of `comparison.json`; one more when a field changes its meaning."""
LEVEL = 0.05
"""A corrected p below it counts as a difference."""


@dataclass(frozen=True)
class Line:
    """One entry.

    Attributes:
        status: only of those that are `done` there are figures.
        reason: why it failed, or stopped.
        trainings: that came to their end.
        metrics: of the task, with 95 % intervals, over all trainings.
        folds: the first metric of each training.
        parameters: of the model; seconds: of one training; latency: seconds to predict one row; all of them means.
    """

    entry: Entry
    status: Status
    reason: str
    trainings: int
    metrics: Mapping[str, Interval]
    folds: Sequence[float]
    parameters: int | None
    seconds: float | None
    latency: float | None


@dataclass(frozen=True)
class Pair:
    """Two entries beside each other.

    Attributes:
        difference: above zero where the first is better.
        p: of the difference, corrected for the number of pairs.
    """

    first: str
    second: str
    difference: Difference
    p: float

    @property
    def differs(self) -> bool:
        return self.p < LEVEL

    @property
    def better(self) -> bool:
        """The first is shown to be better."""
        return self.differs and self.difference.interval.value > 0

    @property
    def gain(self) -> str:
        """The difference for people: `+0.021 [+0.004, +0.037]`."""
        return between(self.difference.interval, signed=True)

    def turned(self) -> Pair:
        """The same, seen from the second."""
        interval = self.difference.interval
        turned = Interval(-interval.value, low=-interval.high, high=-interval.low)
        return Pair(self.second, self.first, replace(self.difference, interval=turned), self.p)


@dataclass(frozen=True)
class Interactions:
    """The reference beside its additive projection (EMAP), which adds up one term for each input.

    Attributes:
        rows: that both are measured on: a sample of the test rows of the first repeat.
        model: the metric that is compared, of the reference on these rows.
        additive: of the projection.
        difference: above zero where the reference is better.
    """

    rows: int
    model: Interval
    additive: Interval
    difference: Difference

    @property
    def differs(self) -> bool:
        return self.difference.p < LEVEL

    @property
    def gain(self) -> str:
        """The difference for people: `+0.021 [+0.004, +0.037]`."""
        return between(self.difference.interval, signed=True)


@dataclass(frozen=True)
class VerdictSentence:
    """One sentence of the verdict.

    Attributes:
        kind: `fusing`, `interactions`, `input`, `enough`, `fusions`, `baseline` or `incomplete`.
        subject: the entries or inputs that it is about.
        decision: one word: `better`, `worse`, `same`, `unclear`; of an input `adds`, `nothing`, `hurts`, `unclear`; of
            interactions `used`, `nothing`, `hurt`, `unclear`.
    """

    kind: str
    subject: tuple[str, ...]
    decision: str
    text: str


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
        metric: the one that is compared.
        reference: name of the entry that the others are compared with.
        lines: in the order of their use.
        pairs: the reference with every other entry, and the fusions with one another.
        findings: the verdict.
        rows: how many were measured.
        folds: in each repeat.
        repeats: of the folds, with other seeds.
        ended: `complete`, `budget` or `interrupted`.
        notes: what was left out, and on which terms.
        interactions: of the reference's inputs; None of one input, or where it could not be measured.
    """

    metric: str
    greater_is_better: bool
    reference: str
    lines: tuple[Line, ...]
    pairs: tuple[Pair, ...]
    findings: tuple[VerdictSentence, ...]
    rows: int
    folds: int
    repeats: int
    ended: Literal["complete", "budget", "interrupted"]
    notes: tuple[str, ...]
    seconds: float
    interactions: Interactions | None = None

    @property
    def verdict(self) -> str:
        """The findings as sentences, one a line."""
        return "\n".join(finding.text for finding in self.findings)

    def pair(self, first: str, second: str) -> Pair | None:
        """Two entries beside each other, as seen from the first; None where they are not compared."""
        return find(self.pairs, first, second)

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Head and lines for people; entries without figures say why."""
        head = ("entry", self.metric, f"against {self.reference}", "p", "parameters", "training s", "one row ms")
        return head, [self._row(line) for line in self.lines]

    def __str__(self) -> str:
        return "\n".join([*aligned(*self.table()), "", *self.notes, "", self.verdict]).strip()

    def to_dict(self) -> dict[str, Any]:
        """JSON values; docs/how-to/compare.md says what they mean."""
        return {
            "schema": SCHEMA,
            "metric": self.metric,
            "greater_is_better": self.greater_is_better,
            "reference": self.reference,
            "rows": self.rows,
            "folds": self.folds,
            "repeats": self.repeats,
            "ended": self.ended,
            "seconds": round(self.seconds, 1),
            "entries": [_line(line) for line in self.lines],
            "pairs": [_pair(pair) for pair in self.pairs],
            "interactions": None if self.interactions is None else _interactions(self.interactions),
            "verdict": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
        }

    def _row(self, line: Line) -> tuple[str, ...]:
        if line.status != "done":
            why = line.status + (f": {line.reason}" if line.reason else "")
            return (line.entry.name, why, "", "", "", "", "")
        pair = self.pair(line.entry.name, self.reference)
        return (
            line.entry.name,
            between(line.metrics[self.metric]),
            "" if pair is None else pair.gain,
            "" if pair is None else of_p(pair.p),
            "" if line.parameters is None else f"{line.parameters:,}",
            "" if line.seconds is None else f"{line.seconds:.1f}",
            "" if line.latency is None else f"{1000 * line.latency:.1f}",
        )


def find(pairs: Sequence[Pair], first: str, second: str) -> Pair | None:
    """Two entries beside each other, as seen from the first; None where they are not compared."""
    for pair in pairs:
        if (pair.first, pair.second) == (first, second):
            return pair
        if (pair.second, pair.first) == (first, second):
            return pair.turned()
    return None


def aligned(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The head and lines of a table as texts, columns below one another."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (head, *rows)]


def _line(line: Line) -> dict[str, Any]:
    entry = line.entry
    return {
        "name": entry.name,
        "kind": entry.kind,
        "inputs": list(entry.inputs),
        "status": line.status,
        "reason": line.reason,
        "trainings": line.trainings,
        "metrics": {name: asdict(interval) for name, interval in line.metrics.items()},
        "folds": [finite(value) for value in line.folds],
        "parameters": line.parameters,
        "training_seconds": None if line.seconds is None else round(line.seconds, 3),
        "one_row_seconds": None if line.latency is None else round(line.latency, 6),
        "config": None if entry.kind == "baseline" else entry.config.model_dump(mode="json"),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "difference": asdict(pair.difference.interval),
        "p": pair.p,
        "p_uncorrected": pair.difference.p,
        "p_rows": pair.difference.p_rows,
        "p_trainings": finite(pair.difference.p_trainings),
        "differs": pair.differs,
    }


def _interactions(found: Interactions) -> dict[str, Any]:
    return {
        "rows": found.rows,
        "model": asdict(found.model),
        "additive": asdict(found.additive),
        "difference": asdict(found.difference.interval),
        "p": found.difference.p,
        "differs": found.differs,
    }


def finite(value: float) -> float | None:
    """The number as JSON has it: there is none that is not finite."""
    return value if math.isfinite(value) else None
