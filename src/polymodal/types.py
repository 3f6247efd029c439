"""The one currency between the parts: what is handed from one to the next.

Shape legend, used in every signature:

    B  rows of a batch                    T  tokens along time or space
    N  rows of a batch with a cell        D  width of a token
    S  samples of a waveform              K  classes, or targets
    C  channels     H, W  pixels          F  features or frequency bands
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.export import register_dataclass
from torch.nn import functional


@dataclass(frozen=True)
class Tokens:
    """What every encoder gives and every fusion takes: a row of vectors, and which of them are real.

    The mask is left-aligned: real tokens first. A single vector is T = 1; a missing cell is a row whose mask is all
    False. Values at masked positions have no meaning and never change a result.

    Attributes:
        features: handcrafted features of the cells, NaN where one is missing, for members of an ensemble that need no
            encoder; None where nothing asks for them.
    """

    values: Float[Tensor, "B T D"]
    mask: Bool[Tensor, "B T"]
    features: Float[Tensor, "B F"] | None = None

    @property
    def width(self) -> int:
        return int(self.values.shape[-1])

    @property
    def present(self) -> Bool[Tensor, " B"]:
        """Rows that hold at least one real token."""
        return self.mask.any(dim=1)

    @classmethod
    def vector(cls, values: Float[Tensor, "B D"], present: Bool[Tensor, " B"] | None = None) -> Tokens:
        """One token a row; all rows present unless said otherwise."""
        if present is None:
            present = torch.ones(values.shape[0], dtype=torch.bool, device=values.device)
        return cls(values.unsqueeze(1), present.unsqueeze(1))

    @classmethod
    def joined(cls, parts: Sequence[Tokens]) -> Tokens:
        """Those of several batches, one below the other, padded to the longest."""
        features = [part.features for part in parts if part.features is not None]
        return cls(
            _padded([part.values for part in parts], axis=1),
            _padded([part.mask for part in parts], axis=1),
            torch.cat(features) if len(features) == len(parts) else None,
        )

    def rows(self, index: Tensor) -> Tokens:
        """Some of the rows, in the order of the index."""
        features = None if self.features is None else self.features[index]
        return Tokens(self.values[index], self.mask[index], features)

    def where_present(self, keep: Bool[Tensor, " B"]) -> Tokens:
        """The same tokens with the rows that are not kept made absent."""
        return replace(self, mask=self.mask & keep.unsqueeze(1))


@dataclass(frozen=True)
class Cells:
    """One column of a batch, ready for an encoder.

    Attributes:
        values: text Int "B T" token ids; image UInt8 "B 3 H W"; audio Float "B S" in [-1, 1]; video (frames) and
            images (pictures) UInt8 "B T 3 H W"; number, datetime and vector Float "B F"; category Int "B 1". Axis 1 is
            time where there is time. Rows of missing cells hold zeros.
        lengths: Int "B", how many steps along axis 1 are real where axis 1 is time, else 1; 0 says: cell missing.
    """

    values: Tensor
    lengths: Int[Tensor, " B"]

    @property
    def present(self) -> Bool[Tensor, " B"]:
        return self.lengths > 0

    @classmethod
    def stacked(cls, arrays: Sequence[np.ndarray | None], *, shape: tuple[int, ...], dtype: type[np.generic]) -> Cells:
        """Arrays of one shape, one a row, zeros where there is none; every length is 1, of a missing one 0."""
        values = np.zeros((len(arrays), *shape), dtype=dtype)
        for row, array in enumerate(arrays):
            if array is not None:
                values[row] = array
        present = torch.tensor([array is not None for array in arrays], dtype=torch.bool)
        return cls(torch.from_numpy(values), present.long())

    def rows(self, index: Tensor) -> Cells:
        """Some of the rows: by number, in the order of the index, or by a mask."""
        return Cells(self.values[index], self.lengths[index])

    @classmethod
    def joined(cls, parts: Sequence[Cells]) -> Cells:
        """Several of them, one below the other; shorter ones are padded with zeros along axis 1."""
        return cls(_padded([part.values for part in parts], axis=1), torch.cat([part.lengths for part in parts]))

    def to(self, device: torch.device) -> Cells:
        """The same on a device; float64 becomes float32 on one that lacks it."""
        narrow = device.type == "mps" and self.values.dtype == torch.float64
        values = self.values.float() if narrow else self.values
        return Cells(values.to(device, non_blocking=True), self.lengths.to(device, non_blocking=True))


@dataclass(frozen=True)
class Batch:
    """Some rows of a table as tensors.

    Attributes:
        cells: by column.
        rows: row numbers in the table, to name rows in errors.
        encoded: by input: tokens of frozen encoders, where they were computed before.
        target: as the task encodes and collates it, length 0 where it is unknown; None: the task has no target, or
            nobody asked for it.
        weight: sample weights.
        features: by column, handcrafted features of its cells, NaN where one is missing; only where they are asked for.
    """

    cells: Mapping[str, Cells]
    rows: Int[Tensor, " B"]
    encoded: Mapping[str, Tokens]
    target: Cells | None = None
    weight: Float[Tensor, " B"] | None = None
    features: Mapping[str, Float[Tensor, "B F"]] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def to(self, device: torch.device) -> Batch:
        return Batch(
            cells={name: cells.to(device) for name, cells in self.cells.items()},
            rows=self.rows,
            encoded={n: Tokens(t.values.to(device), t.mask.to(device)) for n, t in self.encoded.items()},
            target=None if self.target is None else self.target.to(device),
            weight=None if self.weight is None else self.weight.to(device),
            features={name: values.to(device) for name, values in self.features.items()},
        )


Meaning: TypeAlias = Literal["classes", "labels", "numbers"]
"""What scores are: log-probabilities up to a constant, log odds of each label, or something else."""


@dataclass(frozen=True)
class Scores:
    """A prediction of fixed size: one row of numbers for each row of the table.

    Attributes:
        values: "B K": logits of classes (two for a binary target), log odds of labels, or standardised numbers.
        present: rows for which at least one input was present; the others hold the prior.
    """

    values: Float[Tensor, "B K"]
    present: Bool[Tensor, " B"]

    @classmethod
    def with_prior(
        cls, values: Float[Tensor, "B K"], present: Bool[Tensor, " B"], prior: Float[Tensor, " K"]
    ) -> Scores:
        """The values of the rows that are present, and the prior for the others.

        The unused values keep every parameter in the graph, with zero gradient, as distributed training needs.
        """
        return cls(torch.where(present.unsqueeze(1), values, prior), present)

    def rows(self, index: Tensor) -> Scores:
        return Scores(self.values[index], self.present[index])

    def cpu(self) -> Scores:
        return Scores(_wide(self.values), self.present.cpu())

    @classmethod
    def joined(cls, parts: Sequence[Scores]) -> Scores:
        return cls(torch.cat([part.values for part in parts]), torch.cat([part.present for part in parts]))


@dataclass(frozen=True)
class Sequences:
    """A prediction of variable length: the best N sequences of each row, the best first.

    Attributes:
        ids: "B N L", of the tokens of the target's vocabulary; positions behind the length mean nothing.
        lengths: "B N"; 0 is the empty sequence.
        log_probability: "B N", of each sequence, in nats.
        present: rows for which at least one input was present; the others hold empty sequences.
        spans: "B N L 2", where in the input each token begins and ends, in seconds; None where it is not known.
    """

    ids: Int[Tensor, "B N L"]
    lengths: Int[Tensor, "B N"]
    log_probability: Float[Tensor, "B N"]
    present: Bool[Tensor, " B"]
    spans: Float[Tensor, "B N L 2"] | None = None

    def rows(self, index: Tensor) -> Sequences:
        spans = None if self.spans is None else self.spans[index]
        return Sequences(self.ids[index], self.lengths[index], self.log_probability[index], self.present[index], spans)

    def cpu(self) -> Sequences:
        spans = None if self.spans is None else _wide(self.spans)
        return Sequences(self.ids.cpu(), self.lengths.cpu(), _wide(self.log_probability), self.present.cpu(), spans)

    @classmethod
    def joined(cls, parts: Sequence[Sequences]) -> Sequences:
        spans = [part.spans for part in parts if part.spans is not None]
        return cls(
            ids=_padded([part.ids for part in parts], axis=2),
            lengths=torch.cat([part.lengths for part in parts]),
            log_probability=torch.cat([part.log_probability for part in parts]),
            present=torch.cat([part.present for part in parts]),
            spans=_padded(spans, axis=2) if len(spans) == len(parts) else None,
        )


@dataclass(frozen=True)
class Embeddings:
    """A prediction of points in a common space: one for each side of each row.

    Attributes:
        values: "B S E", of length 1 where the side is present, else zero.
        mask: "B S", which sides of a row are present.
    """

    values: Float[Tensor, "B S E"]
    mask: Bool[Tensor, "B S"]

    @property
    def present(self) -> Bool[Tensor, " B"]:
        """Rows of which at least one side is present."""
        return self.mask.any(dim=1)

    def rows(self, index: Tensor) -> Embeddings:
        return Embeddings(self.values[index], self.mask[index])

    def cpu(self) -> Embeddings:
        return Embeddings(_wide(self.values), self.mask.cpu())

    @classmethod
    def joined(cls, parts: Sequence[Embeddings]) -> Embeddings:
        return cls(torch.cat([part.values for part in parts]), torch.cat([part.mask for part in parts]))


for _kind in (Tokens, Cells, Scores, Sequences, Embeddings):  # so that graphs and exports see tensors
    register_dataclass(_kind)


def full_precision(values: Tensor) -> Tensor:
    """Half precision, as mixed precision gives it, as float32; float64 stays."""
    return values if values.dtype == torch.float64 else values.float()


def _padded(parts: Sequence[Tensor], *, axis: int) -> Tensor:
    """Tensors one below the other; shorter ones are padded with zeros along an axis."""
    longest = max(part.shape[axis] for part in parts)
    missing = [longest - part.shape[axis] for part in parts]
    before = (0, 0) * (parts[0].ndim - 1 - axis)  # `pad` counts the axes from the last
    padded = [functional.pad(part, (*before, 0, by)) if by else part for part, by in zip(parts, missing, strict=True)]
    return torch.cat(padded)


def _wide(values: Tensor) -> Tensor:
    """On the CPU, in full precision."""
    return full_precision(values).cpu()


@dataclass(frozen=True)
class Classes:
    """One of K classes a row."""

    labels: list[str]
    probabilities: Float[np.ndarray, "N K"]
    target: Int[np.ndarray, " N"]
    rows: Int[np.ndarray, " N"]

    @property
    def predicted(self) -> Int[np.ndarray, " N"]:
        found: np.ndarray = self.probabilities.argmax(axis=1)
        return found


@dataclass(frozen=True)
class Labels:
    """Any number of K labels a row.

    Attributes:
        predicted: whether the model gives the row the label.
        target: whether the row has it.
    """

    labels: list[str]
    probabilities: Float[np.ndarray, "N K"]
    predicted: Bool[np.ndarray, "N K"]
    target: Bool[np.ndarray, "N K"]
    rows: Int[np.ndarray, " N"]


@dataclass(frozen=True)
class Numbers:
    """A number a row, in the target's own unit."""

    name: str  # of the target
    predicted: Float[np.ndarray, " N"]
    target: Float[np.ndarray, " N"]
    rows: Int[np.ndarray, " N"]


@dataclass(frozen=True)
class Texts:
    """A text a row.

    Attributes:
        scores: how near each predicted text is to the true one; more is better.
        notes: the same in words, such as "chrF 41".
    """

    predicted: list[str]
    target: list[str]
    scores: Float[np.ndarray, " N"]
    notes: list[str]
    rows: Int[np.ndarray, " N"]


Outcome: TypeAlias = Classes | Labels | Numbers | Texts
"""Predicted beside true; `rows` are their numbers in the table."""
