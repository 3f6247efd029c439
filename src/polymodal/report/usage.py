"""What the model is made of, and how to use it."""

from __future__ import annotations

import platform
import shlex

import torch
import yaml

from polymodal import __version__
from polymodal.models.stage import INTERMEDIATE
from polymodal.report.subject import ReportedRun, Section

_MOST_INPUTS = 50
_MOST_COLUMNS = 8  # of an input


def usage(subject: ReportedRun) -> Section:
    """Commands and Python that predict with the bundle."""
    return Section("usage", "How to use it", {"place": shlex.quote(subject.place), "quoted": repr(subject.place)})


def construction(subject: ReportedRun) -> Section:
    """Inputs, encoders and their sizes; settings in full; with what it was made."""
    bundle = subject.run.bundle
    model, config = bundle.model, bundle.config
    inputs = []
    for entry in bundle.schema.inputs[:_MOST_INPUTS]:
        size = sum(parameter.numel() for parameter in model.encoders[entry.name].parameters())
        columns = ", ".join(entry.columns[:_MOST_COLUMNS]) + (", ..." if len(entry.columns) > _MOST_COLUMNS else "")
        parameters = f"{size:,}" if entry.shares is None else f"those of {entry.shares}"
        inputs.append(((entry.name, entry.modality, entry.encoder, columns), parameters))
    optimizer = config.train.optimizer
    made = {
        "task": bundle.schema.target.task if bundle.schema.target else "",
        "fusion": config.fusion.name or "",
        "stage": config.stage.name or INTERMEDIATE,
        "optimizer": f"{optimizer.name}, learning rate {optimizer.lr:g}" if optimizer.lr else str(optimizer.name),
        "batch size": str(config.train.batch_size),
        "seed": str(config.seed),
        "Polymodal": __version__,
        "PyTorch": torch.__version__,
        "Python": platform.python_version(),
    }
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return Section("model", "Model", {"inputs": inputs, "made": made, "settings": settings})
