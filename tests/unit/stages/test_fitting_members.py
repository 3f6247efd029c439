"""Members of an ensemble that read handcrafted features: how they are fitted, and which rows weigh them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from played import Played, classify, encoded, regress, tag
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge

from polymodal.models.ensemble import Ensemble
from polymodal.models.stage import FitResult
from polymodal.protocols import Task
from polymodal.stages._feature_members import evidence_of, fit_feature_members, out_of_fold, predictions
from polymodal.types import Tokens

NUM = 120
RNG = np.random.default_rng(0)
A, B = RNG.normal(2, 3, (NUM, 3)), RNG.normal(0, 1, (NUM, 2))
LABELS = np.where(A[:, 0] + 2 * B[:, 0] + RNG.normal(0, 1, NUM) > 2, "p", "q").tolist()
ALL = np.arange(NUM)
EVERY = ("linear", "gradient_boosting")


def make_fitter(
    task: Task,
    values: list[Any],
    *,
    features: dict[str, np.ndarray] | None = None,
    present: dict[str, np.ndarray] | None = None,
    members: tuple[str, ...] = EVERY,
    weight: np.ndarray | None = None,
) -> Played:
    features = {"a": A, "b": B} if features is None else features
    present = present or {}
    tokens = {
        name: Tokens.vector(
            torch.zeros(len(one), 2), torch.from_numpy(present.get(name, np.ones(len(one), dtype=bool)))
        )
        for name, one in features.items()
    }
    run = {"stage": "intermediate", "fusion": "concat", "train": {"auxiliary_loss": 0.0, "ensemble": members}}
    return Played(task, tokens, encoded(task, values), settings=run, handcrafted=features, weight=weight)


def fitted(fitter: Played, rows: np.ndarray = ALL) -> Ensemble:
    network = fitter.build().eval()
    assert isinstance(network, Ensemble)
    fit_feature_members(fitter, network, rows)
    return network


def said(fitter: Played, network: Ensemble, member: str, rows: np.ndarray = ALL) -> np.ndarray:
    return predictions(fitter, network, rows)[member].values.numpy()


def standardised(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """So that the rows have the mean square one, in float32, as a network reads them."""
    centre, spread = features[rows].mean(axis=0), features[rows].std(axis=0)
    size = np.sqrt((((features[rows] - centre) / spread) ** 2).sum(axis=1).mean())
    features, centre, spread = (array.astype(np.float32) for array in (features, centre, spread * size))
    return ((features - centre) / spread).astype(np.float64)


@pytest.mark.parametrize("weighted", ["not", "rows", "classes"])
def test_the_linear_member_is_logistic_regression_of_standardised_features(weighted):
    weight = RNG.uniform(0, 3, NUM) if weighted == "rows" else None
    task = classify(LABELS, **({"class_weight": {"p": 5.0, "q": 0.5}} if weighted == "classes" else {}))
    fitter, rows = make_fitter(task, LABELS, weight=weight), ALL[:80]
    found = said(fitter, fitted(fitter, rows), "linear:a")
    truth = np.array(LABELS) == task.labels[1]
    counts = np.ones(NUM) if weight is None else weight.astype(np.float32)
    if weighted == "classes":
        counts = np.where(np.array(LABELS) == "p", 5.0, 0.5)
    features = standardised(A, rows)
    model = LogisticRegression(C=20.0, max_iter=300).fit(features[rows], truth[rows], sample_weight=counts[rows])
    np.testing.assert_allclose(found, model.predict_log_proba(features), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_linear_member_of_numbers_is_ridge_regression_of_all_inputs_side_by_side(weighted):
    values = (A[:, 1] + 4 * B[:, 0] + RNG.normal(size=NUM)).tolist()
    weight = RNG.uniform(0, 3, NUM).astype(np.float32) if weighted else None
    fitter, rows = make_fitter(regress(values), values, members=("linear",), weight=weight), ALL[:80]
    network = fitted(fitter, rows)
    assert set(predictions(fitter, network, ALL)) == {"joint", "linear"}
    numbers = (np.array(values) - np.mean(values)) / np.std(values)
    features = np.hstack([standardised(A, rows), standardised(B, rows)])
    ridge = Ridge(alpha=1 / 3).fit(features[rows], numbers[rows], None if weight is None else weight[rows])
    np.testing.assert_allclose(said(fitter, network, "linear")[:, 0], ridge.predict(features), atol=1e-4)


def test_an_input_that_is_missing_contributes_nothing_to_numbers():
    has_a = RNG.random(NUM) < 0.7
    present = {"a": has_a, "b": has_a | (RNG.random(NUM) < 0.5)}
    values = (A[:, 1] + 4 * B[:, 0]).tolist()
    wild = {"a": np.where(has_a[:, None], A, 1e6), "b": np.where(present["b"][:, None], B, -1e6)}
    fitter = make_fitter(regress(values), values, features=wild, present=present)
    scores = predictions(fitter, fitted(fitter), ALL)["linear"]
    assert scores.present.tolist() == present["b"].tolist() and not present["b"].all()
    numbers = (np.array(values) - np.mean(values)) / np.std(values)
    columns = [(A, has_a), (B, present["b"])]
    features = np.hstack([np.where(has[:, None], standardised(one, ALL[has]), 0) for one, has in columns])
    expected = Ridge(alpha=1 / 3).fit(features[present["b"]], numbers[present["b"]]).predict(features)
    np.testing.assert_allclose(scores.values[present["b"], 0], expected[present["b"]], atol=1e-4)


def test_the_boosted_member_reads_the_features_of_all_inputs():
    task = classify(LABELS)
    fitter = make_fitter(task, LABELS)
    found = said(fitter, fitted(fitter), "gradient_boosting")
    truth = np.array(LABELS) == task.labels[1]
    joined = np.hstack([standardised(A, ALL), standardised(B, ALL)])
    trees = HistGradientBoostingClassifier(
        max_leaf_nodes=15, min_samples_leaf=6, max_bins=63, early_stopping=False, random_state=0
    )
    expected = trees.fit(joined, truth).predict_proba(joined)
    np.testing.assert_allclose(np.exp(found), expected, atol=1e-3)


def test_missing_cells_neither_teach_nor_are_predicted():
    has_a = RNG.random(NUM) < 0.7
    present = {"a": has_a, "b": has_a | (RNG.random(NUM) < 0.5)}
    wild = np.where(has_a[:, None], A, 1e6)  # of a missing cell, features mean nothing
    made = [make_fitter(classify(LABELS), LABELS, features={"a": a, "b": B}, present=present) for a in (A, wild)]
    found = [predictions(fitter, fitted(fitter), ALL) for fitter in made]
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name].values, found[1][name].values)
    assert found[0]["linear:a"].present.tolist() == has_a.tolist()
    assert found[0]["gradient_boosting"].present.tolist() == present["b"].tolist()
    alone = make_fitter(classify(LABELS), LABELS, features={"a": A})
    expected = said(alone, fitted(alone, ALL[has_a]), "linear:a")
    np.testing.assert_allclose(found[1]["linear:a"].values[has_a], expected[has_a], atol=1e-4)


def test_an_input_that_no_row_has_leaves_its_member_out_but_not_the_others():
    nobody = {"b": np.zeros(NUM, dtype=bool)}
    fitter = make_fitter(classify(LABELS), LABELS, present=nobody)
    network = fitted(fitter)
    assert set(predictions(fitter, network, ALL)) == {"joint", "linear:a", "gradient_boosting"}
    assert network.takes_features


def test_rows_of_one_class_teach_nothing():
    fitter = make_fitter(classify(LABELS), LABELS)
    one = np.flatnonzero(np.array(LABELS) == "p")
    assert set(predictions(fitter, fitted(fitter, one), ALL)) == {"joint"}


def test_a_class_of_one_row_is_learned_beside_the_others():
    values = ["rare", *LABELS[1:]]
    fitter = make_fitter(classify(values), values)
    result = fitter.learn(ALL[:0])
    assert result.network.takes_features
    scores = predictions(fitter, result.network, ALL)
    assert all(one.values.isfinite().all() for one in scores.values())
    assert result.network.weights.isfinite().all()


def test_several_numbers_of_which_some_are_unknown_are_learned():
    numbers = zip(A[:, 0].tolist(), B[:, 0].tolist(), strict=True)
    values = [{"u": None if row % 5 == 0 else u, "v": None if row % 7 < 2 else v} for row, (u, v) in enumerate(numbers)]
    fitter = make_fitter(regress(values), values)
    network = fitted(fitter)
    assert set(predictions(fitter, network, ALL)) == {"joint", "linear", "gradient_boosting"}
    found = said(fitter, network, "linear")
    assert np.corrcoef(found[:, 0], A[:, 0])[0, 1] > 0.99
    assert np.corrcoef(found[:, 1], B[:, 0])[0, 1] > 0.99


def test_labels_are_learned_each_by_itself():
    values = [
        [name for name, has in (("u", a > 2), ("v", b > 0)) if has] for a, b in zip(A[:, 0], B[:, 0], strict=True)
    ]
    fitter = make_fitter(tag(values), values)
    network = fitted(fitter)
    for member, column in (("linear:a", 0), ("linear:b", 1), ("gradient_boosting", 0)):
        having = np.array([("u", "v")[column] in one for one in values])
        assert ((said(fitter, network, member)[:, column] > 0) == having).mean() > 0.9


def test_no_row_is_predicted_by_a_model_that_learned_from_it():
    """Features that name the row, and classes at random: whoever has seen a row knows its class."""
    labels = RNG.permutation(["p", "q"] * (NUM // 2)).tolist()
    fitter = make_fitter(classify(labels), labels, features={"a": np.eye(NUM)})
    network = fitted(fitter)
    truth = np.array([label == "q" for label in labels])
    seen = said(fitter, network, "linear:a").argmax(axis=1)
    assert (seen == truth).mean() > 0.95
    found, rows = out_of_fold(fitter, network, ALL)
    assert sorted(rows.tolist()) == ALL.tolist()
    for scores in found.values():
        assert abs((scores.values.numpy().argmax(axis=1) == truth[rows]).mean() - 0.5) < 0.2
    torch.testing.assert_close(network.features.readers["a"].centre, torch.full((NUM,), 1 / NUM))  # still of all rows


def test_out_of_fold_predictions_are_those_of_models_of_the_other_rows():
    fitter = make_fitter(classify(LABELS), LABELS, members=("linear",))
    found, rows = out_of_fold(fitter, fitted(fitter), ALL)
    for fold in np.array_split(np.arange(NUM), 5):
        others = np.setdiff1d(ALL, rows[fold])
        expected = said(fitter, fitted(fitter, others), "linear:b", rows[fold])
        np.testing.assert_allclose(found["linear:b"].values[fold], expected, rtol=1e-4, atol=1e-5)


def test_evidence_holds_every_member_and_class_weights():
    task = classify(LABELS, class_weight={"p": 3.0, "q": 1.0})
    weight = RNG.uniform(1, 2, NUM)
    fitter = make_fitter(task, LABELS, weight=weight)
    network = fitted(fitter)
    evidence = evidence_of(fitter, network, {"linear:b": predictions(fitter, network, ALL)["linear:b"]}, ALL)
    assert evidence.values.shape == (4, NUM, 2)
    assert evidence.present.any(dim=1).tolist() == [name == "linear:b" for name in network.names]
    counts = weight.astype(np.float32) * np.where(np.array(LABELS) == "p", 3.0, 1.0)
    np.testing.assert_allclose(evidence.weight, counts / counts.mean(), rtol=1e-5)


@pytest.mark.parametrize("num_validation", [0, 20, 49])
def test_folds_of_the_training_rows_weigh_members_where_validation_rows_are_few(num_validation):
    """a tells everything, b nothing."""
    labels = np.where(A[:, 0] > 2, "p", "q").tolist()
    noise = RNG.normal(size=(NUM, 2))
    fitter = make_fitter(classify(labels), labels, features={"a": A, "b": noise}, members=("linear",))
    network = fitter.learn(ALL[:num_validation]).network
    found = dict(zip(network.names, network.weights.tolist(), strict=True))
    assert found["linear:a"] > 0.3 and found["linear:b"] < 0.22  # both had a quarter


def test_many_validation_rows_need_no_folds(monkeypatch):
    from polymodal.stages import _joint

    monkeypatch.setattr(_joint, "out_of_fold", lambda *_: pytest.fail("validation rows are enough"))
    fitter = make_fitter(classify(LABELS), LABELS)
    assert fitter.learn(ALL[:50]).validation is not None


def test_a_refit_keeps_the_weights_and_fits_members_on_all_rows():
    fitter = make_fitter(classify(LABELS), LABELS)
    first = fitter.stage.learn(fitter, ALL[:70], ALL[70:])
    assert isinstance(first.network, Ensemble)
    again = fitter.stage.learn(fitter, ALL, ALL[:0], before=first).network
    assert torch.equal(again.weights, first.network.weights)
    assert torch.equal(again.calibrator.value, first.network.calibrator.value)
    found, expected = predictions(fitter, again, ALL), predictions(fitter, fitted(fitter), ALL)
    for name in ("linear:a", "linear:b", "gradient_boosting"):
        assert torch.equal(found[name].values, expected[name].values)
    assert not torch.equal(found["linear:a"].values, predictions(fitter, first.network, ALL)["linear:a"].values)


def test_the_result_is_what_the_network_predicts():
    has_a = RNG.random(NUM) < 0.6
    fitter = make_fitter(classify(LABELS), LABELS, present={"a": has_a})
    result = fitter.learn(ALL[60:])
    assert isinstance(result, FitResult) and isinstance(result.network, Ensemble)
    found = fitter.tokens(result.network, ALL[60:], lambda tokens: {
        "": Tokens.vector(result.network.combine(tokens).values)
    })[""].values[:, 0]  # fmt: skip
    torch.testing.assert_close(result.validation.values, found)


def test_very_many_rows_are_drawn(monkeypatch):
    from polymodal.stages import _feature_members

    monkeypatch.setattr(_feature_members, "_MOST_ROWS", 30)
    seen = list[int]()
    fitter = make_fitter(classify(LABELS), LABELS)
    features = fitter.features
    monkeypatch.setattr(
        fitter, "features", lambda network, name, rows: seen.append(len(rows)) or features(network, name, rows)
    )
    fitted(fitter)
    assert set(seen) == {30}


def test_many_features_of_a_frozen_encoder_are_projected_beside_few_handcrafted_ones(monkeypatch):
    """Principal components of both together would hold next to nothing of the few."""
    latent = RNG.normal(size=(NUM, 40)) @ RNG.normal(size=(40, 100))
    handcrafted = RNG.normal(size=(NUM, 3))
    fitter = make_fitter(classify(LABELS), LABELS, features={"a": np.hstack([handcrafted, latent])})
    has = np.ones(NUM, dtype=bool)
    groups = [handcrafted, latent]
    monkeypatch.setattr(fitter, "features", lambda _, name, rows: [[(one[rows], has[rows])] for one in groups])
    projection = fitted(fitter).features.readers["a"].projection.numpy()
    assert projection.shape == (103, 3 + 32)
    np.testing.assert_array_equal(projection[:3], np.eye(3, 35))
    assert not projection[3:, :3].any()
    standard = (latent - latent.mean(axis=0)) / latent.std(axis=0)
    expected = np.linalg.svd(standard)[1][:32]  # of the whole; the components have these lengths
    found = np.linalg.norm(standard @ projection[3:, 3:], axis=0)
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_many_sparse_features_are_projected_for_trees(monkeypatch):
    words = RNG.random((NUM, 200)) * (RNG.random((NUM, 200)) < 0.1)
    words[:, 0] = 3.0 * (np.array(LABELS) == "p")
    fitter = make_fitter(classify(LABELS), LABELS, features={"a": words})
    counts = sparse.csr_matrix(words)
    monkeypatch.setattr(fitter, "features", lambda _, name, rows: [[(counts[rows], np.ones(len(rows), dtype=bool))]])
    network = fitted(fitter)
    assert network.features.readers["a"].projection.shape == (200, 32)
    found = predictions(fitter, network, ALL)
    for name in ("linear:a", "gradient_boosting"):
        right = found[name].values.numpy().argmax(axis=1) == (np.array(LABELS) == fitter.task.labels[1])
        assert right.mean() > 0.8
