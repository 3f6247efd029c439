"""What the words of written texts attended to, among the inputs of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, UInt8

from polymodal.abilities import Attending, Sourced
from polymodal.data.tables.table import Table
from polymodal.inference.forward import loader_for
from polymodal.inference.predictor import Predictor
from polymodal.models.model import Model
from polymodal.protocols import Encoder
from polymodal.types import Batch


@dataclass(frozen=True)
class AttendedText:
    """The words of one row.

    Attributes:
        words: in order; L of them.
        nothing: how much each attended to none of the inputs.
        inputs: by input, how much each attended to each of its tokens. All weights of a word sum to 1.
        squares: by input whose tokens are squares of a picture, rows and columns of these.
        pictures: of the same inputs, what the encoder saw.
    """

    words: list[str]
    nothing: Float[np.ndarray, " L"]
    inputs: Mapping[str, Float[np.ndarray, "L _"]]
    squares: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    pictures: Mapping[str, UInt8[np.ndarray, "_ _ 3"]] = field(default_factory=dict)


def attended(predictor: Predictor, table: Table) -> list[AttendedText | None]:
    """The attention of every word that is written for each row of a table; None where it is not known.

    It is not known of models that write no texts or do not attend to tokens of their inputs, and of rows that lack the
    input whose tokens these are. Tokens may have exchanged information before, in the fusion.
    """
    return list(_attended(predictor, table))


def _attended(predictor: Predictor, table: Table) -> Iterator[AttendedText | None]:
    task, network = predictor.task, predictor.bundle.model
    fusion = next(iter(network.towers.values())).fusion if isinstance(network, Model) else None
    if not isinstance(task, Attending) or not isinstance(network, Model) or not isinstance(fusion, Sourced):
        yield from [None] * table.num_rows
        return
    for _, dataset in predictor.in_chunks(table):
        for batch in loader_for(network, dataset, batch_size=1).epoch(0):
            with torch.inference_mode():
                tokens = network.encode(batch.to(predictor.device))
                fused = network.fuse(tokens)
                found = task.attention(network.head, fused)
            counts = {name: int(tokens[name].mask.sum()) for name in fusion.sources}
            (only,) = fused.values()
            if found is None or not counts or sum(counts.values()) != int(only.mask.sum()):
                yield None
            else:
                yield _row(*found[0], counts, network, batch)


def _row(
    words: list[str], weights: Float[np.ndarray, "L U"], counts: Mapping[str, int], network: Model, batch: Batch
) -> AttendedText:
    ends = 1 + np.cumsum(list(counts.values()))
    parts = np.split(weights, [1, *ends], axis=1)[1:-1]  # behind the last one the row is padded
    inputs = {name: part for name, part in zip(counts, parts, strict=True) if counts[name]}
    squares, pictures = {}, {}
    for name in inputs:
        pixels = batch.cells[network.columns[name][0]].values[0]
        shape = _squares(network.encoders[name], pixels, counts[name])
        if shape is not None:
            squares[name], pictures[name] = shape, pixels.permute(1, 2, 0).numpy()
    return AttendedText(words, weights[:, 0], inputs, squares, pictures)


def _squares(encoder: Encoder, pixels: torch.Tensor, count: int) -> tuple[int, int] | None:
    """Rows and columns of the squares of a picture that the tokens are; None where they are something else."""
    if encoder.keeps_time or not encoder.token_span or pixels.ndim != 3 or count == 1:
        return None
    rows, columns = (round(side / encoder.token_span) for side in pixels.shape[1:])
    return (rows, columns) if rows * columns == count else None
