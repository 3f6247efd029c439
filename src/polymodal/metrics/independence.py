"""Permutation tests on kernels: whether what a row holds says anything of its target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

_PERMUTATIONS = 300
_ENOUGH = 10  # permutations that do as well end a test early (Besag & Clifford 1991)
_AT_ONCE = 50
_MOST_COLUMNS = 32  # of a target; of more its principal components are taken

Square = Float[np.ndarray, "N N"]


def gaussian_kernel(features: np.ndarray | sparse.csr_matrix, present: Bool[np.ndarray, " N"]) -> Square:
    """Similarity of rows from 0 to 1; its width is the median distance (Gretton et al. 2012).

    Rows without a cell are like one another and like nothing else, so that being absent can tell something, too.

    Args:
        features: "N F", zeros in rows without a cell.
        present: rows that have one.
    """
    products = features @ features.T
    products = np.asarray(products.toarray() if sparse.issparse(products) else products, dtype=np.float64)
    squares = np.diag(products)
    distance = np.maximum(squares[:, None] + squares - 2 * products, 0)
    among = distance[np.ix_(present, present)]
    between = among[np.triu_indices(len(among), 1)]
    width = (np.median(between) or between.mean() or 1.0) if len(between) else 1.0  # half of all pairs may be equal
    kernel = np.exp(-distance / width)
    return np.where(present[:, None] & present, kernel, np.where(present[:, None] | present, 0.0, 1.0))


def p_of_prediction(kernel: Square, target: Float[np.ndarray, "N K"], rng: np.random.Generator) -> float:
    """How often a shuffled target is predicted as well as the true one, by kernel ridge regression.

    Each row is predicted from all others, and compared with the prediction by the inner product. Small where the rows
    say something of the target; anything from 0 to 1 where they do not.
    """
    target, residual = _few_columns(target), _residual_from_others(kernel)
    shuffled = np.zeros(0)
    true = -float((target * (residual @ target)).sum())
    while len(shuffled) < _PERMUTATIONS and (shuffled >= true).sum() < _ENOUGH:
        drawn = np.stack([target[rng.permutation(len(target))] for _ in range(_AT_ONCE)], axis=1)
        residuals = (residual @ drawn.reshape(len(target), -1)).reshape(drawn.shape)
        shuffled = np.append(shuffled, -np.einsum("npk,npk->p", residuals, drawn))
    return _p_value(true, shuffled)


def p_of_interaction(
    kernel: Square, others: Sequence[Square], residual: Float[np.ndarray, "N K"], rng: np.random.Generator
) -> float:
    """How often shuffled rows explain with one of the other inputs as much of what is left to explain as the true ones.

    The product of two kernels is large where rows are alike in both inputs. Of all pairs the one that stands out most
    counts, among the permutations too, so that many pairs find no more than one would (Westfall & Young 1993).

    Args:
        kernel: of one input.
        others: those of the others, at least one.
        residual: the target less what is predicted already.
        rng: draws the permutations.
    """
    residual = _few_columns(residual)
    own, alike = _centred(kernel), residual @ residual.T
    left = np.stack([(_centred(other) * alike).ravel() for other in others], axis=1)
    true, drawn = own.ravel() @ left, np.zeros((0, len(others)))
    standing_out = np.zeros(1)
    while len(drawn) < _PERMUTATIONS and (standing_out[1:] >= standing_out[0]).sum() < _ENOUGH:
        orders = [rng.permutation(len(own)) for _ in range(_AT_ONCE)]
        drawn = np.vstack([drawn, [own[np.ix_(order, order)].ravel() @ left for order in orders]])
        spread = drawn.std(axis=0)
        standing_out = ((np.vstack([true, drawn]) - drawn.mean(axis=0)) / np.where(spread > 0, spread, 1)).max(axis=1)
    return _p_value(float(standing_out[0]), standing_out[1:])


def residual_of(kernel: Square, target: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
    """Each row of the target less its prediction from all other rows, by kernel ridge regression of strength 1."""
    return np.asarray(_residual_from_others(kernel) @ (target - target.mean(axis=0)))


def discoveries(p_values: Float[np.ndarray, " M"], rate: float) -> Bool[np.ndarray, " M"]:
    """Which null hypotheses are rejected at this false discovery rate (Benjamini & Hochberg 1995)."""
    order = np.argsort(p_values)
    below = p_values[order] <= rate * np.arange(1, len(order) + 1) / max(len(order), 1)
    found = np.zeros(len(order), dtype=bool)
    found[order[: below.nonzero()[0].max(initial=-1) + 1]] = True
    return found


def _p_value(true: float, shuffled: Float[np.ndarray, " P"]) -> float:
    """The share of permutations that reach the true value, which counts as one of them.

    Where none does, the tail of a gamma distribution with the moments of the others (Minas & Montana 2014), so that a
    correction for many tests has something to go by.
    """
    as_good = int((shuffled >= true - 1e-9 * abs(true)).sum())
    p_value = (1 + as_good) / (1 + len(shuffled))
    if not as_good and shuffled.std() > 0:
        from scipy.stats import pearson3, skew  # it takes half a second to import

        p_value = min(p_value, float(pearson3.sf(true, skew(shuffled), shuffled.mean(), shuffled.std())))
    return p_value


def _residual_from_others(kernel: Square) -> Square:
    """Centred target -> residuals: leave-one-out in closed form (Hastie et al. 2009, equation 7.64)."""
    own = np.eye(len(kernel))
    left = np.linalg.inv(_centred(kernel) + own)  # the identity less the smoother
    return np.asarray(left / (np.diag(left) - 1 / len(kernel))[:, None])


def _centred(kernel: Square) -> Square:
    centred: Square = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
    return centred


def _few_columns(target: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N _"]:
    centred: np.ndarray = target - target.mean(axis=0)
    if centred.shape[1] <= _MOST_COLUMNS:
        return centred
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(left[:, :_MOST_COLUMNS] * sizes[:_MOST_COLUMNS])
