"""Puts handcrafted features of several inputs together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from polymodal.abilities import Features, InputFeatures


def side_by_side(features: Sequence[Features]) -> Features:
    """Features of the same rows in one matrix; sparse if one of them is."""
    if any(map(sparse.issparse, features)):
        return sparse.hstack(features, format="csr")
    return np.hstack(features)


def joined(inputs: Sequence[InputFeatures]) -> InputFeatures:
    """Several inputs as one, which a row has if it has any of them."""
    return InputFeatures(
        train=side_by_side([one.train for one in inputs]),
        test=side_by_side([one.test for one in inputs]),
        in_train=np.any([one.in_train for one in inputs], axis=0),
        in_test=np.any([one.in_test for one in inputs], axis=0),
    )
