"""What a notebook shows of a fitted model beside scikit-learn's diagram: its inputs and how well it did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from polymodal.bundles.bundle import Bundle
from polymodal.models.stage import INTERMEDIATE

_MOST_METRICS = 12


def summary(bundle: Bundle) -> str:
    """HTML without scripts, styles of its own or anything from outside; every name of a column is escaped."""
    counts = bundle.metrics.rows
    sides = {"train": counts.train, "validation": counts.validation, "test": counts.test}
    rows = ", ".join(f"{count} {side}" for side, count in sides.items() if count)
    task = bundle.schema.target.task if bundle.schema.target else "none"
    inputs = [(entry.name, entry.modality, entry.encoder, ", ".join(entry.columns)) for entry in bundle.schema.inputs]
    parts = [
        f"<p>Target <b>{escape(', '.join(bundle.config.targets))}</b> ({escape(task)}); "
        f"fusion {escape(bundle.config.fusion.name or '')}, stage {escape(bundle.config.stage.name or INTERMEDIATE)}; "
        f"rows: {escape(rows)}.</p>",
        _table("Inputs", ("input", "modality", "encoder", "columns"), inputs),
    ]
    for side, report in (("test", bundle.metrics.test), ("validation", bundle.metrics.validation)):
        if report:
            lines = [
                (name, f"{found.value:.4g}", f"{found.low:.4g} to {found.high:.4g}") for name, found in report.items()
            ][:_MOST_METRICS]
            parts.append(_table(f"Metrics on {side} rows", ("metric", "value", "95 % interval"), lines))
    return f"<div class='polymodal-summary'>{''.join(parts)}</div>"


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th scope='col'>{escape(word)}</th>" for word in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
