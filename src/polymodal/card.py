"""The model card: what a bundle's README.md tells its next user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polymodal.config import RunConfig
from polymodal.schema import Schema


def model_card(schema: Schema, config: RunConfig, metrics: Mapping[str, Any]) -> str:
    """A model card in Markdown, after Mitchell et al. 2019, "Model cards for model reporting"."""
    target = schema.target.column if schema.target else ""
    task = schema.target.task if schema.target else ""
    inputs = "\n".join(
        f"| {_cell(i.name)} | {i.modality} | {_cell(', '.join(i.columns))} | {i.encoder} |" for i in schema.inputs
    )
    left_out = (
        "\n".join(f"- {_cell(c.name)}: {_cell(c.reason)}" for c in schema.columns if c.modality is None) or "- none"
    )
    rows = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in metrics["rows"].items())
    return f"""# Model for the column {_cell(target)}

A Polymodal bundle: task `{task}`, fusion `{config.fusion.name}`. It holds weights and JSON, no code.

## Use

    polymodal predict THIS_FOLDER NEW_ROWS.csv -o predictions.csv

    import polymodal as pm
    predictions = pm.load("THIS_FOLDER").predict(new_rows)

## Inputs

| input | modality | columns | encoder |
|---|---|---|---|
{inputs}

A missing or unreadable cell is allowed everywhere; a row with none gets the training rows' prior. Left out:

{left_out}

## Results

Rows: {rows}. 95 % bootstrap intervals in brackets.

{_results(metrics)}

## Limits

These figures hold for rows like the test rows. Nobody has checked this model for fairness, or for use where a mistake
can harm somebody.
"""


def _results(metrics: Mapping[str, Any]) -> str:
    """One line a metric: the model on the test rows (else validation) beside the baselines."""
    side = "test" if metrics["test"] else "validation"
    baselines = {name: report for name, report in metrics["baselines"].items() if name != "linear_by_input"}
    head = "| metric | " + " | ".join([f"model, {side}", *baselines]) + " |"
    lines = [head, "|" + "---|" * (2 + len(baselines))]
    for name, interval in metrics[side].items():
        others = [in_brackets(report.get(name)) for report in baselines.values()]
        lines.append("| " + " | ".join([name, in_brackets(interval), *others]) + " |")
    return "\n".join(lines)


def in_brackets(interval: Mapping[str, float] | None) -> str:
    """A value and its interval as people read them: `0.931 [0.906, 0.953]`; empty for None."""
    return "" if interval is None else f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


_HARMLESS = str.maketrans({sign: f"&#{ord(sign)};" for sign in "&<|`*[]\\"})


def _cell(text: str) -> str:
    """Text from the data, on one line; what would be Markdown or HTML is written by number, so that it only shows."""
    encodable = text.encode(errors="backslashreplace").decode()  # half of a surrogate pair has no UTF-8
    return " ".join(encodable.split()).translate(_HARMLESS)
