"""What parts must do, and what they are shown: with these Protocols a new part is one new file.

`abilities` holds what parts may have besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polymodal.config.run_config import LimitsConfig
from polymodal.types import Cells, Tokens


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

    @cached_property
    def types(self) -> frozenset[type]:
        """The types of the values."""
        return frozenset(map(type, self.values))

    @property
    def only_numbers(self) -> bool:
        """Whether all values are Python numbers or truth values: no words and no media."""
        return self.types <= {float, int, bool}


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
    object. A class that inherits from it says only where it differs from what stands here.
    """

    Config: ClassVar[type]
    group: ClassVar[str | None] = None  # its columns enter together, as the input of that name (`table`)
    media: ClassVar[bool] = False  # a string cell names a file, whose bytes `read` receives

    def __init__(self, config: Any, statistics: Mapping[str, Any] | None = None) -> None: ...

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """How sure it is that this column is of its kind; None where it is not."""

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        """Settings that suit a sample of cells, as `read` would receive them; the user's and the encoder's go first."""
        return {}

    def read(self, cell: object) -> np.ndarray:
        """One cell that is not missing -> compact array, the same dtype and ndim for every cell.

        Media cells arrive as bytes (or as the array that the table holds), others as Python objects.

        Raises:
            UnreadableCellError: with the reason; the cell becomes a reject.
        """

    def note(self, cell: object) -> str | None:
        """What `read`, which took this cell, changes in it that a user may want to know; None where there is nothing.

        A few words that follow "12 cells", equal for equal changes, because they are counted: "cut to 30 s".
        """
        return None

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """Statistics (JSON values) of the arrays of the training rows.

        `truncated`, where there is one, counts those that are longer than what enters the model; the user is told.
        """

    def augment(self, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A random variation of one array that keeps its meaning, if one is known; called on training rows only."""
        return array

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Arrays of one batch, None where the cell is missing -> tensors."""

    def handcrafted_features(self, arrays: Sequence[np.ndarray | None]) -> np.ndarray:
        """Float array [rows, features] for the linear baseline; rows of missing cells are NaN or zero."""

    def preview(self, cell: object) -> str:
        """One cell as `read` receives it -> HTML for reports: escaped, self-contained and small (`codecs.previews`).

        Pictures have at most 160 pixels a side, sounds 5 seconds, texts 300 characters; nothing is loaded from outside.

        Raises:
            UnreadableCellError: where `read` would raise it.
        """


@runtime_checkable
class Module(Protocol):
    """What every `nn.Module` can do, for Protocols of modules."""

    def parameters(self) -> Iterator[nn.Parameter]: ...
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...
    def modules(self) -> Iterator[nn.Module]: ...
    def named_modules(self, *, remove_duplicate: bool = True) -> Iterator[tuple[str, nn.Module]]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any: ...
    def eval(self) -> Any: ...
    def to(self, device: torch.device) -> Any: ...
    def cpu(self) -> Any: ...


@runtime_checkable
class Encoder(Module, Protocol):
    """Cells of one input -> Tokens. An `nn.Module`; built as `Encoder(config, *modalities)`, one per column.

    One that is made of another encoder names the setting that holds it, and its kind, in a class attribute
    `submodules = {"image": "encoders/image"}`; it receives it built, as a keyword argument of that name.

    What the user should hear of it stands in an attribute `notes`, a tuple of a few words each, if it has one.

    It states where its tokens lie, so that what comes after can point back. In time (sounds, clips): `keeps_time`, and
    token t begins at about `t * token_span` seconds. In space (pictures): `token_span` is a number, and the tokens are
    squares of the picture, row by row. In neither: one token a cell, or those of a text, of columns, of many pictures.

    Only rows with at least one present column enter. `needs` says which settings of the modality an encoder depends on
    (picture size, sample rate, tokenizer), so that they are right without the user's doing.
    """

    Config: ClassVar[type]
    width: int  # D of its tokens
    token_span: float | None  # seconds (audio, video) or pixels (image) of one token; None: whole cell, or unknown
    keeps_time: bool  # its tokens lie along the cell's time (audio, video) in order, each `token_span` seconds wide
    frozen: bool  # no parameter learns: its tokens may be computed once

    @classmethod
    def needs(cls, config: Any) -> dict[str, Any]:
        """Settings of the modality that this encoder depends on."""

    @property
    def portable(self) -> dict[str, Any]:
        """Settings (JSON values) from which the same module can be built without any file outside of a bundle."""

    def __call__(self, *cells: Cells) -> Tokens: ...


@runtime_checkable
class Fusion(Module, Protocol):
    """Tokens by input -> Tokens. An `nn.Module`; built as `Fusion(config, widths={input: D})`.

    A class attribute `when_absent` may end the sentence "an absent input ...", for `polymodal list fusions`.
    """

    Config: ClassVar[type]
    width: int  # D of its result
    keeps_time: bool  # its result may hold several tokens a row

    def __call__(self, tokens: Mapping[str, Tokens]) -> Tokens: ...


@dataclass(frozen=True)
class Advice:
    """How a task differs from the table of defaults, where the user says nothing.

    Attributes:
        epochs: factor on the number of epochs.
        lr: factor on the learning rate.
        auxiliary_loss: weight of the loss of every input by itself.
    """

    epochs: float = 1.0
    lr: float = 1.0
    auxiliary_loss: float = 1.0


@runtime_checkable
class Prediction(Protocol):
    """What leaves a model, rows first: `Scores`, `Sequences` or `Embeddings` (`types`), or a task's own.

    A frozen dataclass of tensors, registered as a pytree. Evaluation only ever selects and joins rows.
    """

    @property
    def present(self) -> Bool[Tensor, " B"]:
        """Rows for which at least one input was present."""

    def rows(self, index: Tensor) -> Prediction:
        """Some of the rows: by number, or by a mask."""

    def cpu(self) -> Prediction:
        """The same on the CPU, in float32 at least."""

    @classmethod
    def joined(cls, parts: Sequence[Any]) -> Prediction:
        """Several predictions of this class, one below the other; shorter ones are padded."""


@dataclass(frozen=True)
class Needs:
    """What a task asks of fusion and encoders.

    Attributes:
        time: the fused tokens must lie along the time of one input.
        token_seconds: a token along that time covers at most so many seconds; None: as many as the encoder likes.
        tokens: the fused result is all tokens of all inputs, and encoders keep words and places apart.
    """

    time: bool = False
    token_seconds: float | None = None
    tokens: bool = False


@runtime_checkable
class Task(Protocol):
    """What is predicted: knows the target before there is a model, and what to do with predictions after. No network.

    Built as `Task(config, statistics)`; without statistics it is not fitted, and only `recognise`, `sides`, `needs` and
    `fit` can be used. A class that inherits from it says only where it differs from what stands here.
    """

    Config: ClassVar[type]
    metric: ClassVar[str]  # the metric to report first
    monitor: ClassVar[str]  # the metric to stop early on
    stratified: ClassVar[bool] = False  # the target's values are classes, which belong on every side of a split
    targeted: ClassVar[bool] = True  # there is a target column; else every row is learned from
    greater_is_better: ClassVar[Mapping[str, bool]]  # every metric; `rmse` stands for `rmse_height` too

    def __init__(self, config: Any, statistics: Mapping[str, Any] | None = None) -> None: ...

    @classmethod
    def recognise(cls, values: Sequence[object]) -> Recognition | None:
        """How sure this task is that it suits a target with these values; None: it is chosen only by name."""

    def sides(self, columns: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """The towers of the model by name, and which of the columns enter each; unless said otherwise one tower, "".

        Raises:
            ConfigError: the columns do not form the sides that the settings name.
        """
        return {"": tuple(columns)}

    def needs(self) -> Needs:
        """What fusion and encoders must keep; unless said otherwise nothing but one vector a row."""
        return Needs()

    def fit(self, values: Sequence[object], *, column: str) -> dict[str, Any]:
        """Statistics (JSON values: classes, prior, mean, ...) of the training rows' target.

        Where several columns are predicted, a value is a mapping by their names, or None where all are missing.
        `notes`, if the statistics have it, is a list of sentences on the target that the user should hear.
        """

    def encode(self, value: object) -> np.ndarray | None:
        """One target value -> array, the same dtype and ndim for every value; None where it is missing or unknown."""

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Encoded values of some rows, None where unknown -> tensors, length 0 where unknown."""

    def head(self, widths: Mapping[str, int]) -> Head:
        """A head with fresh weights for fused tokens of these widths, by side."""

    def rows(self, prediction: Any, target: Cells | None) -> Mapping[str, np.ndarray]:
        """Statistics of each row, [N, ...], from which every metric follows: log-probabilities, edits, ranks.

        Args:
            prediction: of this task's heads, on the CPU.
            target: of the same rows, all known; None of a task without a target.
        """

    def metrics(self, rows: Mapping[str, np.ndarray], weights: Float[np.ndarray, "S N"]) -> Mapping[str, np.ndarray]:
        """Every metric for each of S weightings of the rows, " S"; NaN, or left out, where undefined."""

    def decode(self, prediction: Any) -> dict[str, np.ndarray]:
        """Named result columns: `prediction` (of several: `prediction_TARGET`), `p_CLASS`, ..."""


@runtime_checkable
class Head(Module, Protocol):
    """Fused tokens by side -> what the loss is computed from, and predictions. An `nn.Module`, made by `Task.head`.

    Attributes:
        in_batch: the loss of a row depends on the other rows of its batch, which is then seen whole: micro-batches are
            joined before the loss (gradient cache).
    """

    in_batch: bool

    def __call__(self, tokens: Mapping[str, Tokens], target: Cells | None = None, progress: float = 1.0) -> Any:
        """Output, a pytree of tensors, rows first.

        Args:
            tokens: by side.
            target: for teacher forcing, while training.
            progress: how much of the training is done, 0 to 1, for schedules.
        """

    def loss(self, output: Any, target: Cells | None) -> Float[Tensor, " B"]:
        """Loss of each row, before sample weights; 0 where the target is unknown."""

    def predict(self, tokens: Mapping[str, Tokens]) -> Prediction:
        """Prediction of each row; a search lives here."""
