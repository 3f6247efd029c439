"""Gradient boosted trees as tensors: how scikit-learn fits them, and how PyTorch walks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from polymodal.baselines.trees import fit_boosting, min_rows_of_leaf
from polymodal.stages._machines import Machine
from polymodal.stages._solvers import UNSEEN, Buffers, Features, TrainingArrays
from polymodal.types import Meaning

_OF_NODES = ("feature", "threshold", "left", "right", "value")


class TreesMachine(Machine):
    """d = b + the sum over trees of the value of the leaf that x falls into: gradient boosted decision trees.

    The nodes of all trees stand one after another. From a node a row goes on to the left if its feature is at most the
    threshold, else to the right; a leaf leads to itself.
    """

    standardises = False  # a tree only asks which of two numbers is larger

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    root: Tensor
    score: Tensor
    depth: Tensor
    bias: Tensor

    def __init__(self, width: int, meaning: Meaning, prior: Float[Tensor, " K"]) -> None:
        super().__init__(width, meaning, prior)
        for name in ("feature", "left", "right"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int64))
        for name in ("threshold", "value"):
            self.register_buffer(name, torch.zeros(0))
        self.register_buffer("root", torch.zeros(0, dtype=torch.int64))  # the first node of each tree
        self.register_buffer("score", torch.zeros(0, dtype=torch.int64))  # to which each tree adds
        self.register_buffer("depth", torch.zeros((), dtype=torch.int64))  # of the deepest tree
        self.register_buffer("bias", torch.zeros(len(self.prior)))

    def decide(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B M"]:
        node = self.root.expand(len(features), -1)  # B trees
        for _ in range(int(self.depth)):
            is_left = features.gather(1, self.feature[node]) <= self.threshold[node]
            node = torch.where(is_left, self.left[node], self.right[node])
        return self.bias.expand(len(features), -1).index_add(1, self.score, self.value[node])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Refuses trees that lead out of their nodes, or go on for ever."""
        super()._load_from_state_dict(state_dict, prefix, *rest)
        num_nodes, errors = len(self.left), rest[-1]
        limits = {"feature": len(self.centre), "left": num_nodes, "right": num_nodes, "root": num_nodes}
        limits |= {"score": len(self.bias), "depth": num_nodes + 1}
        for name, limit in limits.items():
            numbers = getattr(self, name)
            if not bool(((numbers >= 0) & (numbers < limit)).all()):
                errors.append(f"{prefix}{name}: a tree has a number that is not from 0 to {limit - 1}.")
        if len({len(getattr(self, name)) for name in _OF_NODES}) > 1 or len(self.root) != len(self.score):
            errors.append(f"{prefix}: the arrays of trees are not equally long.")


def gradient_boosting(data: TrainingArrays) -> Buffers:
    """Gradient boosting over all classes at once, of each label, or of each number from the rows where it is known.

    Probabilities are as the trees give them: to calibrate them would take five times as long.
    """
    num_rows, num_scores = data.wanted.shape
    bias, trees = np.zeros(num_scores), list[Buffers]()
    if data.meaning == "classes":
        fitted, columns = _fit(data, data.wanted.argmax(axis=1))
        two = len(fitted.classes_) == 2  # one tree an iteration: for the second class against the first
        scores = fitted.classes_[-1:] if two else fitted.classes_
        bias[np.setdiff1d(np.arange(num_scores), fitted.classes_)] = UNSEEN
        bias[scores] = np.ravel(fitted._baseline_prediction)
        return _joined(_trees(fitted, scores, columns), bias)
    for k, column in enumerate(data.wanted.T):
        rows = np.flatnonzero(~np.isnan(column))
        if not len(rows):
            continue
        if np.ptp(column[rows]) == 0:  # nothing to tell apart; of labels, half a row more of each
            having = int((column > 0).sum())
            alike = np.log((having + 0.5) / (num_rows - having + 0.5))
            bias[k] = column[rows[0]] if data.meaning == "numbers" else alike
            continue
        fitted, columns = _fit(data.rows(rows), column[rows] if data.meaning == "numbers" else column[rows] > 0)
        bias[k] = np.ravel(fitted._baseline_prediction)[0]
        trees += _trees(fitted, [k], columns)
    return _joined(trees, bias)


def _fit(data: TrainingArrays, target: np.ndarray) -> tuple[Any, np.ndarray]:
    """An estimator, and which features it learned from: others are zero in too many rows for any tree to use them."""
    used = np.ravel((data.features != 0).sum(axis=0)) >= min_rows_of_leaf(len(target))
    columns = np.flatnonzero(used) if used.any() else np.array([0])
    features = _dense(data.features[:, columns])
    numbers = data.meaning == "numbers"
    return fit_boosting(features, target, numbers=numbers, weight=data.weight, seed=data.seed), columns


def _trees(fitted: Any, scores: Sequence[int] | np.ndarray, columns: np.ndarray) -> Iterator[Buffers]:
    """Arrays of each tree of a fitted estimator, whose iterations have one for each of the scores."""
    for iteration in fitted._predictors:
        for score, tree in zip(scores, iteration, strict=True):
            nodes = tree.nodes
            is_leaf, itself = nodes["is_leaf"] > 0, np.arange(len(nodes))
            yield {
                "feature": np.where(is_leaf, 0, columns[np.where(is_leaf, 0, nodes["feature_idx"])]),
                "threshold": _at_most(np.where(is_leaf, 0, nodes["num_threshold"])),
                "left": np.where(is_leaf, itself, nodes["left"]),
                "right": np.where(is_leaf, itself, nodes["right"]),
                "value": np.where(is_leaf, nodes["value"], 0),
                "score": np.array(score),
                "depth": nodes["depth"].max(),
            }


def _joined(trees: Iterator[Buffers] | Sequence[Buffers], bias: np.ndarray) -> Buffers:
    """All trees one after another."""
    trees = list(trees)
    root = np.cumsum([0, *(len(tree["value"]) for tree in trees)])[:-1]
    for first, tree in zip(root, trees, strict=True):
        tree["left"], tree["right"] = tree["left"] + first, tree["right"] + first
    joined = {name: np.concatenate([np.zeros(0), *(tree[name] for tree in trees)]) for name in _OF_NODES}
    depth = max((int(tree["depth"]) for tree in trees), default=0)
    score = np.array([int(tree["score"]) for tree in trees])
    return joined | {"root": root, "score": score, "depth": np.array(depth), "bias": bias}


def _at_most(thresholds: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Thresholds in float32, rounded down: any float32 is on the same side of them."""
    with np.errstate(over="ignore"):  # scikit-learn's threshold of all numbers is beyond float32
        found = thresholds.astype(np.float32)
    return np.where(found > thresholds, np.nextafter(found, np.float32(-np.inf)), found)


def _dense(features: Features) -> np.ndarray:
    return np.asarray(features.toarray() if sparse.issparse(features) else features)
