"""The model card: what a bundle's README.md tells its next user."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version

from polymodal import __version__
from polymodal.config.run_config import RunConfig
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.results import Results, UpdateResults
from polymodal.models.stage import INTERMEDIATE
from polymodal.schema import Schema


def model_card(schema: Schema, config: RunConfig, metrics: Results) -> str:
    """A model card in Markdown, after Mitchell et al. 2019, "Model cards for model reporting".

    What nobody told Polymodal (who is responsible, the licence of the data) is said to be unknown.
    """
    target = _cell(schema.target.name if schema.target else "")
    task = schema.target.task if schema.target else ""
    return f"""{_front_matter(schema, task)}
# Model for the column {target}

A Polymodal bundle: task `{task}`, fusion `{config.fusion.name}`, stage
`{config.stage.name or INTERMEDIATE}`. It holds weights and JSON, no code.

## Model details

{_details(schema, config, metrics)}

## Intended use

To predict {target} for rows that come from where the training rows came from, with a person who can notice and correct
a mistake. Not for other populations, devices or times without measuring again (`polymodal evaluate`), nor for decisions
about people that nobody reviews.

    polymodal predict THIS_FOLDER NEW_ROWS.csv -o predictions.csv

    from polymodal.bundles.bundle import load
    from polymodal.inference.predictor import predict
    predictions = predict(load("THIS_FOLDER"), "NEW_ROWS.csv")

## Inputs

{_inputs(schema)}

A missing or unreadable cell is allowed everywhere: the prediction then rests on the inputs that are there, and its
`status` says so. A row with none gets the training rows' prior. A category that training did not see counts as unknown.
Left out:

{_left_out(schema)}

## Training data

{_training_data(config, metrics)}
{_updates(metrics)}
## Results

{_side(metrics)} 95 % bootstrap intervals in brackets.

{_results(metrics)}

## Limits

{_alerts(metrics)}These figures hold for rows like those measured on; they say nothing of groups within them, which were
not measured apart. Confidence is not certainty: where `ece` is shown, it says how far the two are from one another.
Nobody has checked this model for fairness, or for use where a mistake can harm somebody. `schema.json` holds words of
the training data (vocabularies, categories, classes): look at it before you pass the model on.{_row_hashes(config)}
"""


def _front_matter(schema: Schema, task: str) -> str:
    """YAML for sites that show models: registered names only, nothing from the data."""
    modalities = sorted({column.modality or "" for column in schema.features()})
    tags = ["polymodal", "multimodal", task, *modalities]
    return "\n".join(["---", "library_name: polymodal", "tags:", *(f"- {json.dumps(tag)}" for tag in tags), "---", ""])


def _details(schema: Schema, config: RunConfig, metrics: Results) -> str:
    made_with = f"Polymodal {__version__}, PyTorch {version('torch')}, Python {platform.python_version()}"
    begun = config.warm_start.bundle
    repeats = "repeats the training" if begun is None else "does not say what it began with"
    lines = [f"Made with {made_with}; seed {config.seed}. `config.json` {repeats}."]
    if begun is not None:
        lines.append(f"Weights began as those of the model {_cell(begun)}, whose own licence holds.")
    lines.append("Responsible for it, and its licence: unknown, unless said elsewhere.")
    if len(metrics.ensemble) > 1:
        weights = ", ".join(f"{_cell(name)} {weight:.2f}" for name, weight in metrics.ensemble.items())
        lines.append(f"A prediction is the weighted mean of those of the ensemble's members: {weights}.")
    if metrics.temperature != 1:
        lines.append(
            f"Scores are divided by the temperature {metrics.temperature:.2f}, with which probabilities fit validation "
            "rows best."
        )
    for entry in schema.inputs:
        if (checkpoint := checkpoint_of(entry.settings)) is not None:
            lines.append(
                f"The input {_cell(entry.name)} starts from {_cell(str(checkpoint))}, whose own licence holds."
            )
    if schema.target is not None and (checkpoint := checkpoint_of(schema.target.settings)) is not None:
        lines.append(f"The decoder starts from {_cell(str(checkpoint))}, whose own licence holds.")
    return "\n".join(f"- {line}" for line in lines)


def checkpoint_of(settings: object) -> object:
    """The file outside that a part, or one inside of it, starts from; None for random weights."""
    if isinstance(settings, dict):
        candidates = [settings.get("checkpoint"), settings.get("vectors"), *map(checkpoint_of, settings.values())]
    elif isinstance(settings, list | tuple):
        candidates = list(map(checkpoint_of, settings))
    else:
        candidates = []
    return next((found for found in candidates if found is not None), None)


def _inputs(schema: Schema) -> str:
    rows = (f"| {_cell(i.name)} | {i.modality} | {_cell(', '.join(i.columns))} | {i.encoder} |" for i in schema.inputs)
    return "\n".join(["| input | modality | columns | encoder |", "|---|---|---|---|", *rows])


def _left_out(schema: Schema) -> str:
    lines = [f"- {_cell(c.name)}: {_cell(c.reason)}" for c in schema.columns if c.modality is None]
    return "\n".join(lines) or "- none"


def _training_data(config: RunConfig, metrics: Results) -> str:
    rows = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in metrics.rows.model_dump().items())
    split = config.split
    how = f"by the column {_cell(split.column)}" if split.column else f"by the method `{split.method}`"
    notes = "".join(f"\n- {_cell(note)}" for note in metrics.notes)
    read = f"\n\nRead, but not as it stood:\n{notes}" if notes else ""
    return f"Rows: {rows}. Divided {how}. Where the rows come from, and their licence: unknown.{read}"


def _alerts(metrics: Results) -> str:
    """What speaks against the figures, before all other limits."""
    lines = "".join(f"- {_cell(alert.text)}\n" for alert in metrics.alerts)
    return f"{lines}\n" if lines else ""


def _row_hashes(config: RunConfig) -> str:
    if not config.bundle.row_hashes:
        return ""
    return (
        " `row_hashes/`, where it is there, holds keyed hashes of the training rows: who has a whole row can tell by it"
        " whether the model learned from that row."
    )


def _updates(metrics: Results) -> str:
    """What the model learned after its training; nothing where it did not."""
    if not metrics.updates:
        return ""
    lines = "\n".join(f"- {_update(entry)}" for entry in metrics.updates)
    return f"\n## Updates\n\nAfter its training the model learned from new rows; `metrics.json` says more.\n\n{lines}\n"


def _update(entry: UpdateResults) -> str:
    rows, metric = entry.rows, entry.metric
    times = f" in {entry.times} calls of `partial_fit`" if entry.times is not None else ""
    words = f"{rows.learned} new rows{times}, {rows.replayed} old ones again, {entry.settings['epochs']} epochs"
    for side, found, held in (("new", entry.new, rows.held_out), ("old", entry.old, rows.old_held_out)):
        if metric in found.before and metric in found.after:
            before, after = found.before[metric].value, found.after[metric].value
            words += f"; `{metric}` of {held} {side} rows held out {before:.3f} before, {after:.3f} after"
    return f"{words}."


def _side(metrics: Results) -> str:
    before = "Measured before the updates. " if metrics.updates else ""
    if metrics.test:
        return f"{before}On the test rows, which neither training nor the choice of the model has seen."
    return f"{before}On the validation rows, by which the best epoch was chosen: expect a little less on new rows."


def _results(metrics: Results) -> str:
    """One line a metric: the model on the test rows (else validation) beside the baselines."""
    baselines = metrics.baselines.shown
    head = "| metric | " + " | ".join([f"model, {metrics.side}", *baselines]) + " |"
    lines = [head, "|" + "---|" * (2 + len(baselines))]
    for name, interval in metrics.measured.items():
        others = [in_brackets(report.get(name)) for report in baselines.values()]
        lines.append("| " + " | ".join([name, in_brackets(interval), *others]) + " |")
    verdict = "" if metrics.verdict is None else f"\n\n{_cell(metrics.verdict.text)}"
    return "\n".join(lines) + verdict


def in_brackets(interval: Interval | None) -> str:
    """A value and its interval as people read them: `0.931 [0.906, 0.953]`; empty for None."""
    return "" if interval is None else f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


_HARMLESS = str.maketrans({sign: f"&#{ord(sign)};" for sign in "&<|`*[]\\"})


def _cell(text: str) -> str:
    """Text from the data, on one line; what would be Markdown or HTML is written by number, so that it only shows."""
    encodable = text.encode(errors="backslashreplace").decode()  # half of a surrogate pair has no UTF-8
    return " ".join(encodable.split()).translate(_HARMLESS)
