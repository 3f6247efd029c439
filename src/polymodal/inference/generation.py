"""Writing with a trained model: with another search than in training, whole texts or piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from polymodal.abilities import Searching, Streaming
from polymodal.bundles.bundle import Bundle
from polymodal.data.tables.table import read_table
from polymodal.errors import UsageError
from polymodal.inference.forward import loader_for
from polymodal.inference.predictor import Predictor
from polymodal.models.model import Model


@contextmanager
def searching(bundle: Bundle, settings: Mapping[str, Any] | None) -> Iterator[None]:
    """Meanwhile the model searches with other settings; None leaves it as it is.

    Raises:
        UsageError: the model writes no texts.
        ConfigError: an unknown search or setting.
    """
    if settings is None:
        yield
        return
    task, network = _writing(bundle, Searching)
    task.search(network.head, settings)
    try:
        yield
    finally:
        task.search(network.head, None)


def stream(
    predictor: Predictor, source: object, settings: Mapping[str, Any] | None = None
) -> Iterator[tuple[int, str]]:
    """Row number and next piece of its text, row after row; pieces of one row follow one another.

    Args:
        predictor: of a model that writes.
        source: whatever `read_table` takes.
        settings: of the search; None: greedy.

    Raises:
        UsageError: the model writes no texts.
        ConfigError: an unknown search or setting, or one that cannot go piece by piece.
        ColumnError: a column that the model uses is absent.
    """
    task, network = _writing(predictor.bundle, Streaming)
    table = read_table(source, text=predictor.bundle.config.table)
    with searching(predictor.bundle, {"name": "greedy"} if settings is None else settings):
        for start, dataset in predictor.in_chunks(table):
            for place, batch in enumerate(loader_for(network, dataset, batch_size=1).epoch(0)):
                with torch.inference_mode():
                    tokens = network.fuse(network.encode(batch.to(predictor.device)))
                    for (piece,) in task.stream(network.head, tokens):
                        if piece:
                            yield start + place, piece


def _writing(bundle: Bundle, ability: type[Any]) -> tuple[Any, Model]:
    if ability is Streaming and isinstance(bundle.task, Searching) and not isinstance(bundle.task, Streaming):
        raise UsageError(
            f"The task {bundle.config.task.name!r} finds whole texts, and cannot go piece by piece. Write them to a "
            "file: -o FILE."
        )
    if not isinstance(bundle.task, ability) or not isinstance(bundle.model, Model):
        raise UsageError(
            f"This model predicts {bundle.config.target!r} by the task {bundle.config.task.name!r}, which writes no "
            "texts. Train one with --set task=generate."
        )
    return bundle.task, bundle.model
