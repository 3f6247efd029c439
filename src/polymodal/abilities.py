"""What a part may have besides what its Protocol asks for: others use it where it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse
from torch import Tensor, nn

from polymodal.protocols import Advice, Prediction
from polymodal.types import Cells, Meaning, Outcome, Scores, Tokens

Features: TypeAlias = np.ndarray | sparse.csr_matrix
"""[rows, features]; one kind for all rows of an input."""


@dataclass(frozen=True)
class InputFeatures:
    """Features of one input on training and test rows, and which rows have it.

    The mean square of a training row is one, whatever the number of features: inputs of many do not outweigh inputs of
    few, and one strength of penalty suits both.
    """

    train: Features
    test: Features
    in_train: Bool[np.ndarray, " N"]
    in_test: Bool[np.ndarray, " M"]


@runtime_checkable
class ReadsTarget(Protocol):
    """A task that makes something else of the cells of its target: numbers of text, one spelling for a class."""

    @classmethod
    def suggest(cls, values: Sequence[object]) -> dict[str, Any]:
        """Settings that suit most of a target's values; the user's go first."""

    def read(self, value: object) -> object:
        """A value that is not missing, as the task understands it.

        Raises:
            MissingCellError: it says that there is none.
            UnreadableCellError: with the reason; its row is left out, and named.
        """

    def note(self, value: object) -> str | None:
        """What `read` changes in a value that the user may want to know, in words that follow "12 cells"."""


@runtime_checkable
class Verbatim(Protocol):
    """A modality, or a task, that may need the cells of text files as they are written, not made numbers before."""

    @property
    def verbatim(self) -> bool:
        """Whether it does, with its settings."""


@runtime_checkable
class ReadsNumbers(Protocol):
    """What a modality may have besides: it reads the numbers of a whole column at once, as `read` each of them."""

    def read_numbers(self, numbers: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N F"] | None:
        """What `read` gives of each, any where it is missing (NaN); None where they must be read one by one."""
        ...


@runtime_checkable
class Measuring(Protocol):
    """What a modality may have besides: figures of a cell, among which the audit looks for outliers and drift."""

    def measures(self, array: np.ndarray) -> dict[str, float]:
        """Figures of one array that `read` gave, by a name that a user understands: `{"seconds": 2.1}`."""


@runtime_checkable
class Ranged(Protocol):
    """What a modality may have besides: it tells new cells that are of another scale than those of training."""

    def unlike_training(self, arrays: Sequence[np.ndarray]) -> str | None:
        """What is to be said of the cells of a table; None where nothing is."""
        ...


@runtime_checkable
class Comparable(Protocol):
    """What a modality may have besides: fingerprints, by which the audit finds near duplicates."""

    near: ClassVar[float]  # cells whose fingerprints have at least this cosine are near duplicates

    def fingerprints(self, arrays: Sequence[np.ndarray]) -> Any:
        """[cells, F], dense or sparse; rows of length 1, or zero where a cell has nothing to compare (silence)."""


@runtime_checkable
class Repairing(Protocol):
    """What a modality may have besides: policies for missing and outlying cells, applied when a batch is made.

    Its `Config` has a setting `missing`, and perhaps `outliers` and `value`: `Literal` types of which "leave" is one.
    """

    def repair(self, array: np.ndarray | None) -> tuple[str, Any, Any] | None:
        """What is done to a cell: (`fill` or `clip`, old, new) as JSON values; None where it stays as it is."""


@runtime_checkable
class WithTokenizer(Protocol):
    """What the class of a decoder may have besides: pieces in which alone it can write."""

    @classmethod
    def tokenizer(cls, config: Any) -> Mapping[str, Any]:
        """What the tokenizer of such a decoder is made of, as JSON values: see `tokenizers.reversible.load`."""
        ...


@runtime_checkable
class CrossAttending(Protocol):
    """What a decoder may have besides: weights by which it attends to the inputs' tokens while it writes."""

    def cross_attention(self, tokens: Tokens, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L U"] | None:
        """How much each step counts when the token after each of these is written, of which the first is the begin.

        U = T + 1: the first step stands for nothing, the others are the tokens. Weights sum to 1, and those of masked
        tokens are 0. None: with these settings the decoder has no such weights.
        """


@runtime_checkable
class Outside(Protocol):
    """What a head may have besides: it started from a checkpoint, which the settings of its task name."""

    def portable(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Settings of the task (JSON values) from which the same head can be built without any file outside."""
        ...


@runtime_checkable
class Merging(Protocol):
    """What an encoder or a decoder may have besides: weights that are saved otherwise than they learn (adapters)."""

    def portable_state(self) -> dict[str, Tensor]:
        """Tensors by name that fit the module which `portable` describes, and give the same tokens."""


@runtime_checkable
class Spanning(Protocol):
    """What an encoder may have besides: settings that keep time, in tokens as short as a task needs (CTC, alignment).

    Every class of encoders that can keep time should have it: `issubclass(cls, Spanning)`.
    """

    @classmethod
    def spanning(cls, config: Any, seconds: float) -> Any:
        """The same settings, but tokens keep time, and each covers at most so many seconds.

        Settings that do so already come back unchanged. Seconds hold up to the rounding of a step to whole samples, and
        as far as settings decide: the steps of a pretrained network are its own, and how long a frame of a clip lasts
        its column says. `token_span` of the encoder that was built tells.
        """


@runtime_checkable
class Anchored(Protocol):
    """What a fusion may have besides: where it keeps time, the input whose tokens come out.

    Rows with that input then have a token for each of its tokens, in their order: their mask is the input's. Of other
    rows there may be a single token.
    """

    @property
    def anchor(self) -> str | None:
        """Name of the input; None: the result is that of no single input."""


@runtime_checkable
class Sourced(Protocol):
    """What a fusion may have besides: the inputs whose tokens come out, one for each of theirs.

    Rows that have all of these inputs then have the tokens of the first of them in their order, those of the next, ...
    """

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of their tokens; none: what comes out is no input's."""
        ...


@runtime_checkable
class Advised(Protocol):
    """What a task may have besides: training settings that suit it better than the table of defaults."""

    advice: ClassVar[Advice]


@runtime_checkable
class Scoring(Protocol):
    """What a task may have besides: its predictions are `Scores`, which can be pooled, calibrated and fused late.

    Its heads are a `layers.scores_head.ScoresHead` of the parts below.
    """

    meaning: Meaning  # of the scores; that of an instance may differ from its class's
    prior: Float[Tensor, " K"]  # scores of a row with nothing present; empty until the task is fitted

    def readout(self, width: int) -> nn.Module:
        """Tokens "B T D" of that width -> scores "B K", with fresh weights: everything in a head that learns."""

    def criterion(self) -> nn.Module:
        """(Scores, target: Cells) -> loss "B", 0 where the target is unknown; nothing in it learns."""


@runtime_checkable
class Confident(Protocol):
    """What the criterion of a task may have besides: confidence in the true target, where that is not exp(-loss)."""

    def confidence(self, scores: Scores, target: Cells) -> Float[Tensor, " B"]:
        """Of each row, from 0 to 1, such as the probability of the true class."""


@runtime_checkable
class Probabilistic(Protocol):
    """What a task may have besides: scores that are probabilities, which a temperature can calibrate."""

    def log_loss(self, scores: Scores, target: Cells) -> float:
        """Mean of minus the log-probability of what is true, in nats, over rows of known target."""


@runtime_checkable
class Labelling(Protocol):
    """What a task may have besides: any number of labels a row, in place of one class."""

    def chosen(self, prediction: Any) -> list[list[str]]:
        """The labels of each row."""


@runtime_checkable
class Baselined(Protocol):
    """What a task may have besides: simple predictions that a model has to beat."""

    baseline_rows: ClassVar[int]  # at most so many training rows are used: more hardly help, and cost minutes

    def baselines(
        self, features: Mapping[str, InputFeatures], target: Cells | None, num_rows: int
    ) -> Mapping[str, Prediction | Mapping[str, Prediction]]:
        """Predictions for test rows by the name of the baseline; a mapping holds one for each input.

        Args:
            features: by input, of training and test rows.
            target: of the training rows, all known.
            num_rows: number of test rows.
        """


@runtime_checkable
class HasTargetFeatures(Protocol):
    """What a task may have besides: features of its target, where that is no score. An input that says something of the
    target predicts some of them.
    """

    def target_features(self, target: Cells) -> Features:
        """[N, F] of rows whose target is known; like targets have like features."""


@runtime_checkable
class Searching(Protocol):
    """What a task may have besides: predictions that a search finds, which may be another one than in training."""

    def search(self, head: Any, settings: Mapping[str, Any] | None) -> None:
        """Makes a head search with other settings, of which `name` is the search's; None: with those of the model.

        Raises:
            ConfigError: an unknown search or setting.
        """


@runtime_checkable
class Streaming(Protocol):
    """What a task may have besides: texts that come piece by piece."""

    def stream(self, head: Any, tokens: Mapping[str, Any]) -> Iterator[list[str]]:
        """The next piece of the text of each row, until all have ended.

        Raises:
            ConfigError: the search finds whole texts only.
        """


@runtime_checkable
class Attending(Protocol):
    """What a task may have besides: texts whose words attended to the fused tokens while they were written."""

    def attention(self, head: Any, tokens: Mapping[str, Tokens]) -> list[tuple[list[str], np.ndarray]] | None:
        """Of each row, the L words of its text, and [L, 1 + T] how much each attended to nothing and to the tokens.

        The weights of a word are the mean over its pieces, and sum to 1. None: the head knows none.
        """


@runtime_checkable
class Timed(Protocol):
    """What a task may have besides: texts whose characters lie along the time of a sound, so that they can be aligned.

    Ids are of characters; -1 stands for anything that is spoken.
    """

    between: int | None  # what stands between two words; None: nothing

    def spoken(self, text: object) -> Sequence[tuple[str, list[int]]]:
        """The words of a text as they are written, and the ids of what is heard of each; none of no text."""

    def written(self, character: int) -> str:
        """What an id writes."""

    def frames(self, head: Any, tokens: Mapping[str, Any]) -> tuple[Float[Tensor, "B T V"], Int[Tensor, " B"]]:
        """Log-probabilities of the ids at each step, the first that of no character, and the number of real steps."""


@runtime_checkable
class Named(Protocol):
    """What a task may have besides: what the field calls it, such as "classification"; else its own name is shown."""

    kind: ClassVar[str]


@runtime_checkable
class Explaining(Protocol):
    """What a task may have besides: what its metrics say, in a few words."""

    metric_words: ClassVar[Mapping[str, str]]  # of any of its metrics; `rmse` stands for `rmse_height` too


@runtime_checkable
class Reported(Protocol):
    """What a task may have besides: what a report shows of its predictions."""

    def outcomes(self, prediction: Any, target: Cells, rows: np.ndarray, *, name: str) -> Sequence[Outcome]:
        """Predicted beside true, in the words and units of the target.

        Args:
            prediction: of rows whose target is known.
            target: of the same rows.
            rows: their numbers in the table.
            name: of the target column.
        """
