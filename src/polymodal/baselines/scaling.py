"""Scales handcrafted features so that inputs of many do not outweigh inputs of few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from polymodal.abilities import Features

_MOST_DENSE = 2_000  # dense features of one column; those that vary most are kept
_MOST_FOR_TREES, _COMPONENTS = 64, 32  # features of an input; of more, so many principal components
_FARTHEST = 2.0  # times the largest of a fitted row

Block = tuple[Features, Bool[np.ndarray, " N"]]
"""Features of one column, and which rows have a cell; where they have none, features mean nothing."""


@dataclass(frozen=True)
class Scaling:
    """Features become (x - centre) / spread, those of missing cells 0.

    Fitted rows then have the mean square one. A feature of infinite spread becomes 0.

    Attributes:
        bound: twice the largest size of a scaled feature in a fitted row; others are cut to it, for a pixel that hardly
            varied there would outweigh all others where it does.
    """

    centre: Float[np.ndarray, " F"]
    spread: Float[np.ndarray, " F"]
    bound: float = np.inf

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> Scaling:
        """Dense features are standardised; sparse ones (counts of words) are scaled by their modality already."""
        parts = [_standardised(values, present) for values, present in blocks]
        centre, spread = (np.concatenate(of_all) for of_all in zip(*parts, strict=True))
        scaling = cls(centre, spread)
        values, present = scaling(blocks), np.any([has for _, has in blocks], axis=0)
        filled = values.data if sparse.issparse(values) else values
        size = np.linalg.norm(filled) / np.sqrt(max(present.sum(), 1)) or 1.0
        return cls(centre, spread * size, _FARTHEST * float(np.abs(filled).max(initial=0.0) / size))

    @classmethod
    def of_groups(cls, groups: Sequence[Sequence[Block]]) -> Scaling:
        """For the blocks of all groups side by side; groups count alike, however many features they have."""
        each = [cls.of(blocks) for blocks in groups]
        share = np.sqrt(len(groups))
        spread = np.concatenate([one.spread for one in each]) * share
        return cls(np.concatenate([one.centre for one in each]), spread, max(one.bound for one in each) / share)

    def __call__(self, blocks: Sequence[Block]) -> Features:
        """[N, F]: the scaled features of all columns side by side; sparse if one of them is."""
        scaled, start = [], 0
        for values, present in blocks:
            place = slice(start, start + values.shape[1])
            start = place.stop
            if sparse.issparse(values):
                sized = values / self.spread[place.start]
                sized.data.clip(-self.bound, self.bound, out=sized.data)
                scaled.append(sized)
            else:
                standardised = np.nan_to_num((values - self.centre[place]) / self.spread[place])
                scaled.append(np.where(present[:, None], standardised.clip(-self.bound, self.bound), 0))
        return side_by_side(scaled)


def side_by_side(features: Sequence[Features]) -> Features:
    """Features of the same rows in one matrix; sparse if one of them is."""
    if any(map(sparse.issparse, features)):
        return sparse.hstack(features, format="csr")
    return np.hstack(features)


def components(features: Features) -> Float[np.ndarray, "F R"] | None:
    """The directions of the principal components of more than 64 features, scaled; None: trees take all of them.

    Sparse features are not centred: latent semantic analysis (Deerwester et al. 1990).
    """
    from sklearn.utils.extmath import randomized_svd

    if features.shape[1] <= _MOST_FOR_TREES or not min(features.shape):
        return None
    centred = features if sparse.issparse(features) else features - features.mean(axis=0)
    directions: np.ndarray = randomized_svd(centred, min(_COMPONENTS, *centred.shape), n_iter=4, random_state=0)[2]
    return directions.T


def _standardised(
    values: Features, present: Bool[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, " F"], Float[np.ndarray, " F"]]:
    """Centre and spread of each feature over the rows that have the cell."""
    width, fitted = values.shape[1], None if sparse.issparse(values) else values[present]
    if fitted is None:
        return np.zeros(width), np.ones(width)
    if not len(fitted):
        return np.zeros(width), np.full(width, np.inf)
    centre, spread = fitted.mean(axis=0), fitted.std(axis=0)
    left_out = spread <= 1e-12 * np.abs(centre)  # constant up to rounding
    left_out[np.argsort(-spread, kind="stable")[_MOST_DENSE:]] = True
    return centre, np.where(left_out, np.inf, spread)
