"""Fits the members of an ensemble that read handcrafted features, and predicts rows that they did not learn from."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from scipy.linalg import block_diag

from polymodal.abilities import Features, Scoring
from polymodal.baselines.scaling import Block, Scaling, components, side_by_side
from polymodal.data.cells.handcrafted import as_dense
from polymodal.layers.opinion_pool import normalised
from polymodal.models.budget import Budget
from polymodal.models.ensemble import Ensemble
from polymodal.models.feature_members import BOOSTING, LINEAR, FeatureMembers, FeatureReader, FittedModel, linear_name
from polymodal.models.stage import Fitter, Parts
from polymodal.stages._ensemble_weights import Evidence, understands
from polymodal.stages._machines import Machine
from polymodal.stages._predictors import PredictorConfig, seconds_to_fit, wanted_of
from polymodal.stages._solvers import TrainingArrays
from polymodal.types import Cells, Meaning, Scores, Tokens

_MOST_SCORES = 50  # classes, labels or targets: with many more, these models take longer than the network
_FOLDS = 5
_MOST_ROWS = 20_000  # more hardly help, and cost minutes
_ROWS = 64  # at a time, whose features are dense: of text they are tens of thousands


def feature_members(parts: Parts, task: Scoring) -> FeatureMembers | None:
    """The models of handcrafted features that the configuration asks for, not fitted yet; None: none.

    Of classes and labels each input has a linear model, whose probabilities are pooled. Numbers have one of all inputs,
    which adds what each contributes: the mean of models of single inputs does not.
    """
    asked = {LINEAR, BOOSTING} & set(parts.config.train.ensemble.members or ())
    if len(task.prior) > _MOST_SCORES or not asked:
        return None
    linear, names = _predictor(LINEAR, task.meaning), [""] if task.meaning == "numbers" else list(parts.encoders)
    return FeatureMembers(
        {name: linear.machine(0, task) for name in names if LINEAR in asked},
        _predictor(BOOSTING, task.meaning).machine(0, task) if BOOSTING in asked else None,
        inputs=tuple(parts.encoders),
    )


def fit_feature_members(fitter: Fitter, network: Ensemble, rows: np.ndarray) -> None:
    """Fits them on some rows, in place; of very many, on those that are drawn.

    They stay unfitted where a task of its own kind has numbers of its own kind, such as the logarithm of a count.
    """
    target = fitter.target(rows)
    if network.features is not None and target is not None and understands(target, network.meaning):
        if len(rows) > _MOST_ROWS:
            rows = np.sort(np.random.default_rng(fitter.config.seed).choice(rows, _MOST_ROWS, replace=False))
        start = fitter.budget.clock()
        _fit(fitter, network, network.features, rows)
        fitter.budget.members = fitter.budget.clock() - start


def affords_folds(budget: Budget) -> bool:
    """Whether there is time to fit them in folds as well."""
    return budget.affords_part("out-of-fold predictions", (_FOLDS - 1) * budget.members)


def predictions(fitter: Fitter, network: Ensemble, rows: np.ndarray) -> dict[str, Scores]:
    """What every member predicts for some rows."""

    def as_tokens(tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
        return {name: Tokens.vector(one.values, one.present) for name, one in network.members(tokens).items()}

    found = fitter.tokens(network, rows, as_tokens)
    return {name: Scores(tokens.values[:, 0], tokens.present) for name, tokens in found.items()}


def out_of_fold(fitter: Fitter, network: Ensemble, rows: np.ndarray) -> tuple[dict[str, Scores], np.ndarray]:
    """What models of handcrafted features predict for rows that they did not learn from, in five folds.

    Returns:
        The predictions, and the rows in their order.
    """
    order = np.random.default_rng(fitter.config.seed).permutation(rows)
    folds = [np.sort(fold) for fold in np.array_split(order, min(_FOLDS, len(order)))]
    found = list[dict[str, Scores]]()
    for fold in folds:
        members = copy.deepcopy(network.features)
        assert members is not None, "whoever takes features has some"
        _fit(fitter, network, members, np.setdiff1d(rows, fold))
        with torch.inference_mode():
            parts = [members(tokens) for tokens in _as_tokens(fitter, network, fold)]
        found += parts
    every = [name for name in found[0] if all(name in part for part in found)]  # a fold may teach a member nothing
    joined = {name: Scores.joined([part[name] for part in found]) for name in every}
    meaning = network.meaning
    return {n: replace(one, values=normalised(one.values, meaning)) for n, one in joined.items()}, np.concatenate(folds)


def evidence_of(fitter: Fitter, network: Ensemble, members: Mapping[str, Scores], rows: np.ndarray) -> Evidence:
    """Predictions of members for rows that they did not learn from, beside the truth."""
    target = fitter.target(rows)
    assert target is not None, "a task that gives scores has a target"
    nobody = Scores(torch.zeros(len(rows), len(network.head.prior)), torch.zeros(len(rows), dtype=torch.bool))
    ordered = [members.get(name, nobody) for name in network.names]
    weight = _row_weights(fitter, rows, target)
    return Evidence(
        values=torch.stack([one.values for one in ordered]),
        present=torch.stack([one.present for one in ordered]),
        target=target,
        weight=torch.from_numpy(weight / (weight.mean() or 1.0)),
    )


def _fit(fitter: Fitter, network: Ensemble, members: FeatureMembers, rows: np.ndarray) -> None:
    target = fitter.target(rows)
    assert target is not None, "a task that gives scores has a target"
    known, weight = target.present.numpy(), _row_weights(fitter, rows, target)
    task, seed = _scoring(fitter), fitter.config.seed
    members.cpu()  # where features are; whoever predicts moves them to the device
    wanted = wanted_of(target, task.meaning, len(task.prior))
    fitted, learn = dict.fromkeys(members.names, False), partial(_learn, fitter.budget)
    with_trees = len(members.boosting) > 0 and fitter.budget.affords_more(BOOSTING)
    every, joined, anywhere = list[Features](), list[np.ndarray](), np.zeros(len(rows), dtype=bool)
    for name, reader in members.readers.items():
        groups = fitter.features(network, name, rows)
        scaled, present = _scaled(groups, reader)
        anywhere |= present
        mine = present & known
        if name in members.linear.names:
            data = TrainingArrays(scaled[mine], wanted[mine], weight[mine], task.meaning, seed)
            fitted[linear_name(name)] = learn(members.linear[name], linear_name(name), data)
        if "" in members.linear.names:
            every.append(scaled)
        if with_trees:
            reader.put(projection=_projection(scaled[mine], groups))
            joined.append(_as_read(fitter, network, name, reader, rows))
    mine = anywhere & known
    if every:
        data = TrainingArrays(side_by_side(every)[mine], wanted[mine], weight[mine], task.meaning, seed)
        fitted[LINEAR] = learn(members.linear[""], LINEAR, data)
    if with_trees:
        data = TrainingArrays(np.hstack(joined)[mine], wanted[mine], weight[mine], task.meaning, seed)
        fitted[BOOSTING] = learn(members.boosting[BOOSTING], BOOSTING, data)
    members.fitted.copy_(torch.tensor(list(fitted.values())))


def _learn(budget: Budget, model: FittedModel, name: str, data: TrainingArrays) -> bool:
    """Fits the member of that name; says whether there was anything to learn, and time for it."""
    from sklearn.exceptions import ConvergenceWarning

    assert isinstance(model, Machine), "what `feature_members` made"
    counted = data.weight > 0
    wanted = data.wanted[counted]
    if not counted.any() or not (np.fmax.reduce(wanted) > np.fmin.reduce(wanted)).any():  # some are unknown: NaN
        return False
    width = data.features.shape[1]
    model.put(centre=np.zeros(width), spread=np.ones(width))  # the reader has scaled them
    predictor = _predictor(name, data.meaning)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # good enough here, as in the baselines
        if not budget.affords_member(name, partial(seconds_to_fit, predictor, model, data, budget.clock)):
            return False
        predictor.fit(model, data)
    return True


def _scaled(groups: Sequence[Sequence[Block]], reader: FeatureReader) -> tuple[Features, np.ndarray]:
    """Features of an input, scaled as its reader does from now on, and which rows have it."""
    scaling = Scaling.of_groups(groups)
    reader.put(centre=scaling.centre, spread=scaling.spread, bound=scaling.bound)
    blocks = [block for group in groups for block in group]
    return scaling(blocks), np.any([present for _, present in blocks], axis=0)


def _projection(scaled: Features, groups: Sequence[Sequence[Block]]) -> Float[np.ndarray, "F R"]:
    """To the principal components of each group that has many features; empty where none has."""
    widths = [sum(values.shape[1] for values, _ in group) for group in groups]
    ends = np.cumsum(widths)
    found = [components(scaled[:, end - width : end]) for end, width in zip(ends, widths, strict=True)]
    if all(directions is None for directions in found):
        return np.zeros((0, 0))
    every = (np.eye(width) if one is None else one for one, width in zip(found, widths, strict=True))
    projection: np.ndarray = block_diag(*every)
    return projection


def _as_read(
    fitter: Fitter, network: Ensemble, name: str, reader: FeatureReader, rows: np.ndarray
) -> Float[np.ndarray, "N R"]:
    """Features as trees read them, in float32: a feature may lie on a threshold."""
    parts = np.array_split(rows, max(1, len(rows) // _ROWS))
    read = (reader(_without_values(fitter.features(network, name, part))) for part in parts)
    with torch.inference_mode():
        return np.vstack([reader.project(scaled).double().numpy() for scaled in read])


def _predictor(kind: str, meaning: Meaning) -> PredictorConfig:
    if kind == BOOSTING:
        return PredictorConfig("gradient_boosting")
    return PredictorConfig("ridge", c=3.0) if meaning == "numbers" else PredictorConfig("logistic")


def _scoring(fitter: Fitter) -> Scoring:
    assert isinstance(fitter.task, Scoring), "an ensemble is of a task that gives scores"
    return fitter.task


def _row_weights(fitter: Fitter, rows: np.ndarray, target: Cells) -> Float[np.ndarray, " N"]:
    """Sample weights, times those of the classes."""
    weight: np.ndarray = fitter.weights(rows).double().numpy()
    of_class = getattr(fitter.task, "class_weight", None)
    return weight if of_class is None else weight * of_class[target.values[:, 0]].double().numpy()


def _as_tokens(fitter: Fitter, network: Ensemble, rows: np.ndarray) -> Iterator[Mapping[str, Tokens]]:
    """Handcrafted features of all inputs, without tokens of their encoders, some rows at a time."""
    for part in np.array_split(rows, max(1, len(rows) // _ROWS)):
        yield {name: _without_values(fitter.features(network, name, part)) for name in network.columns}


def _without_values(groups: Sequence[Sequence[Block]]) -> Tokens:
    blocks = [block for group in groups for block in group]
    dense = [_dense(values, present) for values, present in blocks]
    mask = torch.from_numpy(np.any([present for _, present in blocks], axis=0)).unsqueeze(1)
    features = torch.from_numpy(np.hstack(dense))
    return Tokens(features.new_zeros(len(features), 1, 0), mask, features)


def _dense(values: Features, present: Bool[np.ndarray, " N"]) -> Float32[np.ndarray, "N F"]:
    dense = as_dense(values.astype(np.float32))  # before it is dense: in float64 it would be twice as large
    dense[~present] = np.nan
    return dense
