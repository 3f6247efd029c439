"""The weights of an ensemble against a brute-force search for the largest posterior probability, in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import brute, fmin
from scipy.special import expit, log_expit, log_softmax

from polymodal.layers.opinion_pool import normalised
from polymodal.stages._ensemble_weights import Evidence, learn_weights
from polymodal.types import Cells, Meaning

EVEN = torch.tensor([0.5, 0.5])
STRENGTH, SPREAD = 30.0, 0.5  # of the priors, as documented


def make_evidence(
    values: np.ndarray,
    target: np.ndarray,
    *,
    present: np.ndarray | None = None,
    known: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Evidence:
    num_members, num_rows = values.shape[:2]
    cells = torch.from_numpy(target)
    lengths = np.ones(num_rows, dtype=int) if known is None else known.astype(int)
    return Evidence(
        values=torch.from_numpy(values),
        present=torch.from_numpy(np.ones((num_members, num_rows), dtype=bool) if present is None else present),
        target=Cells(cells, torch.from_numpy(lengths)),
        weight=torch.from_numpy(np.ones(num_rows) if weight is None else weight),
    )


def of_classes(skill: tuple[float, ...], num_rows: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities of members, of which each knows the class so well, and the classes."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=num_rows)
    logits = np.stack([sure * np.eye(3)[truth] + rng.normal(size=(num_rows, 3)) for sure in skill])
    return log_softmax(logits, axis=-1), truth


def cooled(values: np.ndarray, nll: Callable[[np.ndarray], np.ndarray], weight: np.ndarray) -> np.ndarray:
    """Scores of each member divided by its own most probable temperature, at least 1; `nll` is of the rows of one."""
    logarithms = np.linspace(0, np.log(20), 6_001)
    found = []
    for one, counted in zip(values, np.broadcast_to(weight, values.shape[:2]), strict=True):
        losses = [(counted * nll(one / np.exp(log))).sum() + 0.5 * (log / SPREAD) ** 2 for log in logarithms]
        found.append(one / np.exp(logarithms[np.argmin(losses)]))
    return np.stack(found)


def best(nll: Callable[[np.ndarray, float], float], *, tempered: bool = True) -> tuple[float, float]:
    """Weight of the first of two members, and the temperature, with the largest posterior probability."""

    def minus_log_posterior(place: np.ndarray) -> float:
        first, log_temperature = expit(place[0]), place[1] if tempered else 0.0
        prior = -STRENGTH * (0.5 * np.log(first) + 0.5 * np.log1p(-first)) + 0.5 * (place[1] / SPREAD) ** 2
        return prior + nll(np.array([first, 1 - first]), np.exp(log_temperature))

    near = brute(minus_log_posterior, [(-4, 4), (-2, 2)], Ns=33, finish=None)
    found = fmin(minus_log_posterior, near, xtol=1e-6, ftol=1e-9, disp=False)
    return expit(found[0]), np.exp(found[1]) if tempered else 1.0


def assert_best(evidence: Evidence, meaning: Meaning, nll: Callable[[np.ndarray, float], float]) -> None:
    found = learn_weights([evidence], EVEN, meaning)
    first, scale = best(nll, tempered=meaning != "numbers")
    np.testing.assert_allclose(found.members, [first, 1 - first], atol=5e-4)
    assert found.temperature == pytest.approx(scale, rel=2e-3)
    assert abs(first - 0.5) > 0.02  # there was something to find


def assert_alike(one: list[Evidence], other: list[Evidence]) -> None:
    """Both say the same of the members."""
    found, expected = learn_weights(one, EVEN, "classes"), learn_weights(other, EVEN, "classes")
    torch.testing.assert_close(found.members, expected.members, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.temperatures, expected.temperatures, atol=0, rtol=1e-3)
    assert found.temperature == pytest.approx(expected.temperature, rel=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_of_classes(weighted):
    values, truth = of_classes((2.0, 0.5), num_rows=80)
    weight = np.random.default_rng(1).uniform(0, 3, 80) if weighted else np.ones(80)
    values[1] *= 4  # one that is too sure
    own = cooled(values, lambda one: -log_softmax(one, axis=1)[np.arange(80), truth], weight)

    def nll(weights: np.ndarray, temperature: float) -> float:
        pooled = np.tensordot(weights, log_softmax(own, axis=-1), axes=1) / temperature
        return -float((weight * log_softmax(pooled, axis=1)[np.arange(80), truth]).sum())

    assert_best(make_evidence(values, truth[:, None], weight=weight), "classes", nll)


def test_members_that_are_absent_in_a_row_leave_it_to_the_others():
    values, truth = of_classes((0.5, 2.0), num_rows=90)
    present = np.random.default_rng(1).random((2, 90)) < 0.6
    present[0] |= ~present.any(axis=0)
    own = cooled(values, lambda one: -log_softmax(one, axis=1)[np.arange(90), truth], present)
    own = log_softmax(own, axis=-1)

    def nll(weights: np.ndarray, temperature: float) -> float:
        shares = present * weights[:, None]
        pooled = (own * (shares / shares.sum(axis=0))[..., None]).sum(axis=0) / temperature
        return -float(log_softmax(pooled, axis=1)[np.arange(90), truth].sum())

    assert_best(make_evidence(values, truth[:, None], present=present), "classes", nll)


def test_of_labels():
    rng = np.random.default_rng(2)
    truth = (rng.random((70, 4)) < 0.4).astype(float)
    values = np.stack([3 * (truth - 0.5) + rng.normal(size=truth.shape), rng.normal(0, 2, truth.shape)])

    def rows(pooled: np.ndarray) -> np.ndarray:
        return -(truth * log_expit(pooled) + (1 - truth) * log_expit(-pooled)).mean(axis=1)

    own = cooled(values, rows, np.ones(70))

    def nll(weights: np.ndarray, temperature: float) -> float:
        pooled = np.tensordot(weights, own, axes=1) / temperature
        return -float((truth * log_expit(pooled) + (1 - truth) * log_expit(-pooled)).mean(axis=1).sum())

    assert_best(make_evidence(values, truth), "labels", nll)


def test_of_one_class_against_the_rest():
    values, truth = of_classes((2.0, 0.2), num_rows=60)
    one_hot = np.eye(3)[truth]

    def rows(pooled: np.ndarray) -> np.ndarray:
        return -(one_hot * log_expit(pooled) + (1 - one_hot) * log_expit(-pooled)).sum(axis=1)

    own = cooled(values, rows, np.ones(60))

    def nll(weights: np.ndarray, temperature: float) -> float:
        pooled = np.tensordot(weights, own, axes=1) / temperature
        return -float((one_hot * log_expit(pooled) + (1 - one_hot) * log_expit(-pooled)).sum())

    assert_best(make_evidence(values, truth[:, None]), "labels", nll)


def test_of_numbers_some_of_which_are_unknown():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(100, 2))
    known = rng.random((100, 2)) < 0.8
    values = np.stack([truth + rng.normal(0, 0.5, truth.shape), truth + rng.normal(0, 1.0, truth.shape)])
    variance = min(float(((one - truth) ** 2)[known].mean()) for one in values)

    def nll(weights: np.ndarray, temperature: float) -> float:
        error = np.tensordot(weights, values, axes=1) - truth
        return float((0.5 * error**2 * known).mean(axis=1).sum()) / variance

    target = np.stack([np.where(known, truth, 0.0), known.astype(float)], axis=1)
    assert_best(make_evidence(values, target, known=known.any(axis=1)), "numbers", nll)


def test_a_row_whose_target_is_unknown_says_nothing():
    values, truth = of_classes((2.0, 0.5), num_rows=80)
    known = np.arange(80) < 60
    assert_alike(
        [make_evidence(values, truth[:, None], known=known)], [make_evidence(values[:, :60], truth[:60, None])]
    )


def test_rows_of_several_sources_count_as_if_they_were_one():
    values, truth = of_classes((2.0, 0.5), num_rows=80)
    parts = [make_evidence(values[:, rows], truth[rows, None]) for rows in (slice(0, 30), slice(30, 80))]
    assert_alike(parts, [make_evidence(values, truth[:, None])])


def test_a_member_that_is_right_outweighs_two_that_guess_and_more_so_with_more_rows():
    prior = torch.tensor([1 / 3, 1 / 3, 1 / 3])
    found = []
    for num_rows in (4, 40, 400):
        values, truth = of_classes((3.0, 0.0, 0.0), num_rows=num_rows)
        weights = learn_weights([make_evidence(values, truth[:, None])], prior, "classes").members
        assert float(weights.sum()) == pytest.approx(1.0)
        assert weights.argmax() == 0
        found.append(float(weights[0]))
    assert 1 / 3 < found[0] < 0.4 < found[1] < 0.48 < found[2], found


def test_nothing_known_leaves_the_prior():
    prior = torch.tensor([0.5, 0.3, 0.2])
    found = learn_weights([], prior, "classes")
    torch.testing.assert_close(found.members, prior, atol=1e-5, rtol=0)
    assert found.temperature == pytest.approx(1.0)
    torch.testing.assert_close(found.temperatures, torch.ones(3), atol=1e-3, rtol=0)


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_the_temperature_is_the_factor_by_which_all_are_too_sure(factor):
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 2, (4_000, 3))
    truth = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)  # drawn from these very probabilities
    said = normalised(torch.from_numpy(np.stack([factor * logits] * 2)), "classes").numpy()
    found = learn_weights([make_evidence(said, truth[:, None])], EVEN, "classes")
    assert float(found.temperatures[0]) * found.temperature == pytest.approx(factor, rel=0.08)
    assert float(found.temperatures[0]) == pytest.approx(max(factor, 1.0), rel=0.08)  # the others are left to all


def test_numbers_have_no_temperature():
    truth = np.random.default_rng(0).normal(size=(50, 1))
    target = np.stack([truth, np.ones_like(truth)], axis=1)
    found = learn_weights([make_evidence(np.stack([3 * truth, 5 * truth]), target)], EVEN, "numbers")
    assert found.temperature == 1 and found.temperatures.tolist() == [1, 1]


def test_a_member_that_never_predicts_keeps_others_as_they_are():
    """A model that learned nothing is not there at all: its weight goes to the others in proportion."""
    values, truth = of_classes((2.0, 0.5), num_rows=80)
    nobody = np.zeros((1, 80), dtype=bool)
    present = np.concatenate([np.ones((2, 80), dtype=bool), nobody])
    three = make_evidence(np.concatenate([values, np.zeros((1, 80, 3))]), truth[:, None], present=present)
    found = learn_weights([three], torch.tensor([0.4, 0.4, 0.2]), "classes").members
    assert found.isfinite().all()
    assert found[0] > found[1]


def test_members_that_are_exactly_right_do_not_break_it():
    truth = np.random.default_rng(0).normal(size=(50, 1))
    target = np.stack([truth, np.ones_like(truth)], axis=1)
    weights = learn_weights([make_evidence(np.stack([truth, truth + 1]), target)], EVEN, "numbers").members
    assert weights.isfinite().all() and weights[0] > 0.95
