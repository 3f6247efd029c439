"""What a part may have besides what its Protocol asks for: others use it where it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Num
from torch import Tensor

from polymodal.types import Advice, Prediction

__all__ = ["Advised", "Comparable", "Confident", "Judged", "Measured", "Merging", "Pooling", "Repairing", "Weighted"]


@runtime_checkable
class Measured(Protocol):
    """What a modality may have besides: figures of a cell, among which the audit looks for outliers and drift."""

    def measures(self, array: np.ndarray) -> dict[str, float]:
        """Figures of one array that `read` gave, by a name that a user understands: `{"seconds": 2.1}`."""


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
class Merging(Protocol):
    """What an encoder may have besides: weights that are saved otherwise than they learn, such as those of adapters."""

    def portable_state(self) -> dict[str, Tensor]:
        """Tensors by name that fit the module which `portable` describes, and give the same tokens."""


@runtime_checkable
class Advised(Protocol):
    """What a head may have besides: training settings that suit its task better than the table of defaults."""

    advice: ClassVar[Advice]


@runtime_checkable
class Pooling(Protocol):
    """What a head may have besides: how scores from several sources become one; the mean of the scores otherwise."""

    def pool(self, scores: Float[Tensor, "M B K"], weights: Float[Tensor, "M B"]) -> Float[Tensor, "B K"]:
        """The scores of the weighted mean of what M sources say; the weights of a row sum to one."""


@runtime_checkable
class Confident(Protocol):
    """What a head may have besides: how sure it is of the true target, where that is not exp(-loss)."""

    def confidence(self, prediction: Prediction, target: Tensor) -> Float[Tensor, " B"]:
        """Of each row, from 0 to 1, such as the probability of the true class."""


@runtime_checkable
class Weighted(Protocol):
    """What a head may have besides: metrics that take weights: bootstrapped in one pass, not in a thousand."""

    def weighted_metrics(
        self, scores: Float[np.ndarray, "N K"], target: Num[np.ndarray, "N ..."], weights: Float[np.ndarray, "S N"]
    ) -> dict[str, Float[np.ndarray, " S"]]:
        """Every metric for each of S weightings of the rows, all of known target; NaN where undefined."""


@runtime_checkable
class Judged(Protocol):
    """What a head may have besides: metrics that only it knows, which early stopping and comparisons ask about."""

    larger_is_better: ClassVar[Mapping[str, bool]]
