"""The one currency between the parts, and the four Protocols that make adding a part one new file.

Shape legend, used in every signature:

    B  rows of a batch                    T  tokens along time or space
    N  rows of a batch with a cell        D  width of a token
    S  samples of a waveform              K  classes, or targets
    C  channels     H, W  pixels          F  features or frequency bands
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polymodal.config import LimitsConfig

__all__ = [
    "Advice",
    "Batch",
    "Cells",
    "Encoder",
    "Fusion",
    "Head",
    "Modality",
    "Prediction",
    "Recognition",
    "Sample",
    "Scores",
    "Tokens",
]


@dataclass(frozen=True)
class Tokens:
    """What every encoder gives and every fusion takes: a row of vectors, and which of them are real.

    The mask is left-aligned: real tokens first. A single vector is T = 1; a missing cell is a row whose mask is all
    False. Values at masked positions have no meaning and never change a result.
    """

    values: Float[Tensor, "B T D"]
    mask: Bool[Tensor, "B T"]

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

    def rows(self, index: Int[Tensor, " N"]) -> Cells:
        """Some of the rows, in the order of the index."""
        return Cells(self.values[index], self.lengths[index])

    def to(self, device: torch.device) -> Cells:
        return Cells(self.values.to(device, non_blocking=True), self.lengths.to(device, non_blocking=True))


@dataclass(frozen=True)
class Batch:
    """Some rows of a table as tensors.

    Attributes:
        cells: by column.
        rows: row numbers in the table, to name rows in errors.
        encoded: by input: tokens of frozen encoders, where they were computed before.
        target: as the task encodes it.
        weight: sample weights.
    """

    cells: Mapping[str, Cells]
    rows: Int[Tensor, " B"]
    encoded: Mapping[str, Tokens]
    target: Tensor | None = None
    weight: Float[Tensor, " B"] | None = None

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def to(self, device: torch.device) -> Batch:
        return Batch(
            cells={name: cells.to(device) for name, cells in self.cells.items()},
            rows=self.rows,
            encoded={n: Tokens(t.values.to(device), t.mask.to(device)) for n, t in self.encoded.items()},
            target=None if self.target is None else self.target.to(device),
            weight=None if self.weight is None else self.weight.to(device),
        )


Scores: TypeAlias = Literal["classes", "labels", "numbers"]
"""What the scores of a task are: log-probabilities up to a constant, log odds of each label, or something else."""


@dataclass(frozen=True)
class Prediction:
    """What a head gives.

    Attributes:
        scores: classification: logits (binary: two of them); regression: values on the standardised scale.
        present: rows for which at least one input was present; the others hold the prior.
    """

    scores: Float[Tensor, "B K"]
    present: Bool[Tensor, " B"]

    @classmethod
    def with_prior(
        cls, scores: Float[Tensor, "B K"], present: Bool[Tensor, " B"], prior: Float[Tensor, " K"]
    ) -> Prediction:
        """The scores of the rows that are present, and the prior for the others.

        The unused scores keep every parameter in the graph, with zero gradient, as distributed training needs.
        """
        return cls(torch.where(present.unsqueeze(1), scores, prior), present)


@dataclass(frozen=True)
class Sample:
    """What inference shows a modality of one column.

    Attributes:
        values: up to some hundreds of cells that are not missing, spread over the column, as Python objects.
        heads: for each value, the first bytes of the file it names or of the bytes it holds; None where neither.
        distinct: number of different values in the whole column (strings, numbers; media by their path).
        present: number of cells of the whole column that are not missing.
        several: for each value that lists files or contents, the first bytes of some of them; empty for the others.
    """

    values: Sequence[object]
    heads: Sequence[bytes | None]
    distinct: int
    present: int
    several: Sequence[Sequence[bytes | None]] = ()


@dataclass(frozen=True)
class Advice:
    """How a task differs from the table of defaults, where the user says nothing.

    Attributes:
        epochs: factor on the number of epochs.
        lr: factor on the learning rate.
        auxiliary_loss: weight of the loss of every input by itself.
        auxiliary_vote: share of what the inputs say by themselves in every prediction; None: half, but 0 where
            the validation rows say that this does harm.
    """

    epochs: float = 1.0
    lr: float = 1.0
    auxiliary_loss: float = 1.0
    auxiliary_vote: float | None = None


@dataclass(frozen=True)
class Recognition:
    """How sure a modality is that a column is its own (0 to 1), and why."""

    confidence: float
    reason: str


@runtime_checkable
class Modality(Protocol):
    """One kind of column: how its cells are recognised, read, stored, varied and made tensors.

    `Config` is a frozen dataclass of settings. Where a cell lists several media, a class attribute `several = True`
    says so, and `read` receives a tuple of contents. An instance with statistics is fitted; `fit` never changes its
    object.
    """

    Config: ClassVar[type]
    group: ClassVar[str | None]  # columns of these modalities enter together, as the input of that name (`table`)
    media: ClassVar[bool]  # a string cell names a file, whose bytes `read` receives

    def __init__(self, config: Any, statistics: Mapping[str, Any] | None = None) -> None: ...

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """How sure it is that this column is of its kind; None where it is not."""

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        """Settings that suit a sample of cells, as `read` would receive them; the user's and the encoder's go first."""

    def read(self, cell: object) -> np.ndarray:
        """One cell that is not missing -> compact array, the same dtype and ndim for every cell.

        Media cells arrive as bytes (or as the array that the table holds), others as Python objects.

        Raises:
            UnreadableCellError: with the reason; the cell becomes a reject.
        """

    def remark(self, cell: object) -> str | None:
        """What `read`, which took this cell, changes in it that a user may want to know; None where there is nothing.

        A few words that follow "12 cells", equal for equal changes, because they are counted: "cut to 30 s".
        """

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """Statistics (JSON values) of the arrays of the training rows.

        `truncated`, where there is one, counts those that are longer than what enters the model; the user is told.
        """

    def augment(self, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A random variation of one array that keeps its meaning; called on training rows only."""

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Arrays of one batch, None where the cell is missing -> tensors."""

    def simple_features(self, arrays: Sequence[np.ndarray | None]) -> np.ndarray:
        """Float array [rows, features] for the linear baseline; rows of missing cells are NaN or zero."""

    def preview(self, cell: object) -> str:
        """One cell as `read` receives it -> HTML for reports: escaped, self-contained and small (`codecs.previews`).

        Pictures have at most 160 pixels a side, sounds 5 seconds, texts 300 characters; nothing is loaded from outside.

        Raises:
            UnreadableCellError: where `read` would raise it.
        """


@runtime_checkable
class Encoder(Protocol):
    """Cells of one input -> Tokens. An `nn.Module`; built as `Encoder(config, *modalities)`, one per column.

    One that is made of another encoder names the setting that holds it, and its kind, in a class attribute
    `submodules = {"image": "encoders/image"}`; it receives it built, as a keyword argument of that name.

    What the user should hear of it stands in an attribute `remarks`, a tuple of a few words each, if it has one.

    Only rows with at least one present column enter. `needs` says which settings of the modality an encoder depends on
    (picture size, sample rate, tokenizer), so that they are right without the user's doing.
    """

    Config: ClassVar[type]
    width: int  # D of its tokens
    token_span: float | None  # seconds (audio, video) or pixels (image) that one token covers; None: whole cell
    frozen: bool  # no parameter learns: its tokens may be computed once

    @classmethod
    def needs(cls, config: Any) -> dict[str, Any]:
        """Settings of the modality that this encoder depends on."""

    @property
    def portable(self) -> dict[str, Any]:
        """Settings (JSON values) from which the same module can be built without any file outside of a bundle."""

    def __call__(self, *cells: Cells) -> Tokens: ...


@runtime_checkable
class Fusion(Protocol):
    """Tokens by input -> Tokens. An `nn.Module`; built as `Fusion(config, widths={input: D})`.

    A class attribute `when_absent` may end the sentence "an absent input ...", for `polymodal list fusions`.
    """

    Config: ClassVar[type]
    width: int  # D of its result
    keeps_time: bool  # its result may hold several tokens a row

    def __call__(self, tokens: Mapping[str, Tokens]) -> Tokens: ...


@runtime_checkable
class Head(Protocol):
    """Tokens -> Prediction, loss, words and metrics. An `nn.Module`; built as `Head(config, width=D, statistics=...)`.

    Its class methods know the target column before there is a model.

    Attributes:
        scores: what its scores are; an object may differ from its class.
        prior: "K", the scores of a row with nothing present.
        readout: tokens -> scores "B K" before the prior; everything in a head that learns.
    """

    Config: ClassVar[type]
    metric: ClassVar[str]  # the metric to report first
    monitor: ClassVar[str]  # the metric to stop early on
    stratified: ClassVar[bool]  # the target's values are classes, each of which belongs on every side of a split
    scores: Scores
    prior: Tensor
    readout: nn.Module

    @classmethod
    def recognise(cls, values: Sequence[object]) -> Recognition | None:
        """How sure this task is that it suits a target with these values."""

    @classmethod
    def fit_target(cls, values: Sequence[object], *, column: str, config: Any = None) -> dict[str, Any]:
        """Statistics (JSON values: classes, prior, mean, ...) of the training rows' target.

        Where several columns are predicted, a value is a mapping by their names, or None where all are missing.
        `config` holds the task's settings; None: the defaults. `remarks`, if the statistics have it, is a list of
        sentences on the target that the user should hear.
        """

    @classmethod
    def encode_target(cls, values: Sequence[object], statistics: Mapping[str, Any]) -> np.ndarray:
        """Target as numbers [rows], or [rows, K]; NaN where it is missing or unknown."""

    def __call__(self, tokens: Tokens) -> Prediction: ...

    def loss(self, prediction: Prediction, target: Tensor) -> Float[Tensor, " B"]:
        """Loss of each row, before sample weights."""

    def decode(self, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Scores [rows, K] -> named result columns: `prediction` (of several: `prediction_TARGET`), `p_CLASS`, ..."""

    def metrics(self, scores: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Every metric of the task by name."""
