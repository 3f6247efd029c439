"""What the model is made of, and how to use it."""

from __future__ import annotations

import platform
import shlex

import torch
import yaml

from polymodal.codecs.previews import escaped
from polymodal.models.stage import INTERMEDIATE
from polymodal.report import markup
from polymodal.report.subject import ReportedRun

_MOST_INPUTS = 50


def usage(subject: ReportedRun) -> str:
    """Commands and Python that predict with the bundle."""
    place = shlex.quote(subject.place)
    commands = f"""
polymodal predict {place} NEW.csv -o predictions.csv
polymodal evaluate {place} LABELLED.csv
"""
    python = f"""
from polymodal.bundles.bundle import load
from polymodal.predict import predict

found = predict(load({subject.place!r}), "NEW.csv")  # or a DataFrame, a dict of columns, ...
print(found.columns["prediction"], found.status)
"""
    return (
        markup.paragraph(
            "A table needs the columns that the model reads; cells may be missing. Each row gets one prediction."
        )
        + markup.code(commands)
        + markup.code(python)
    )


def construction(subject: ReportedRun) -> str:
    """Inputs, encoders and their sizes; settings in full; with what it was made."""
    bundle = subject.run.bundle
    model, config = bundle.model, bundle.config
    rows = []
    for entry in bundle.schema.inputs[:_MOST_INPUTS]:
        size = sum(parameter.numel() for parameter in model.encoders[entry.name].parameters())
        names = ", ".join(entry.columns[:8]) + (", ..." if len(entry.columns) > 8 else "")
        held = f"{size:,}" if entry.shares is None else f"those of {escaped(entry.shares)}"
        rows.append((escaped(entry.name), escaped(entry.modality), escaped(entry.encoder), escaped(names), held))
    optimizer = config.train.optimizer
    made = {
        "task": bundle.schema.target.task if bundle.schema.target else "",
        "fusion": config.fusion.name or "",
        "stage": config.stage.name or INTERMEDIATE,
        "optimizer": f"{optimizer.name}, learning rate {optimizer.lr:g}" if optimizer.lr else str(optimizer.name),
        "batch size": str(config.train.batch_size),
        "seed": str(config.seed),
        "Polymodal": _version(),
        "PyTorch": torch.__version__,
        "Python": platform.python_version(),
    }
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return (
        markup.table(("input", "modality", "encoder", "columns", "parameters"), rows, numbers=1)
        + markup.pairs({name: escaped(value) for name, value in made.items()})
        + markup.folded("All settings (run.yaml)", markup.code(settings))
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("polymodal")
    except PackageNotFoundError:  # run from a folder that was not installed
        return "unknown"
