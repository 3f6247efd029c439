"""Every metric against scikit-learn or a plain loop, for weightings that repeat, drop and leave out whole classes."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn import metrics as reference

from polymodal.metrics import classification


def example(num_classes: int, rows: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-probabilities with many ties, targets, and weightings: all ones, a bootstrap, one that drops a class."""
    rng = np.random.default_rng(num_classes)
    guess = rng.integers(40, size=rows)  # 40 different rows of scores
    target = np.where(rng.random(rows) < 0.6, guess % num_classes, rng.integers(num_classes, size=rows))
    logits = (rng.normal(size=(40, num_classes)) + 1.2 * np.eye(num_classes)[np.arange(40) % num_classes])[guess]
    drawn = rng.multinomial(rows, np.full(rows, 1 / rows), size=3).astype(float)
    dropped = np.where(target == 0, 0.0, drawn[0])
    weights = np.vstack([np.ones((1, rows)), drawn, dropped[None]])
    return log_softmax(logits, axis=1), target, weights


def one_against_rest(metric, target: np.ndarray, probabilities: np.ndarray) -> float:
    num_classes = probabilities.shape[1]
    present = [k for k in ([1] if num_classes == 2 else range(num_classes)) if 0 < (target == k).mean() < 1]
    return float(np.mean([metric(target == k, probabilities[:, k]) for k in present])) if present else np.nan


def calibration_error(target: np.ndarray, probabilities: np.ndarray) -> float:
    """By definition, bin by bin."""
    confidence, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == target
    total = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if inside.any():
            total += inside.sum() / len(target) * abs(confidence[inside].mean() - hit[inside].mean())
    return total


REFERENCES = {
    "accuracy": lambda y, p: reference.accuracy_score(y, p.argmax(axis=1)),
    "macro_f1": lambda y, p: reference.f1_score(y, p.argmax(axis=1), average="macro", zero_division=0),
    "balanced_accuracy": lambda y, p: reference.recall_score(
        y, p.argmax(axis=1), labels=np.unique(y), average="macro", zero_division=0
    ),
    "roc_auc": lambda y, p: one_against_rest(reference.roc_auc_score, y, p),
    "average_precision": lambda y, p: one_against_rest(reference.average_precision_score, y, p),
    "log_loss": lambda y, p: reference.log_loss(y, p, labels=range(p.shape[1])),
    "ece": calibration_error,
}


@pytest.mark.parametrize("num_classes", [2, 3, 10])
@pytest.mark.parametrize("name", REFERENCES)
def test_equals_the_reference_on_repeated_rows(name: str, num_classes: int) -> None:
    log_probabilities, target, weights = example(num_classes)
    values = classification.measure(log_probabilities, target, weights)[name]
    rows = [np.repeat(np.arange(len(target)), counts.astype(int)) for counts in weights]
    expected = [REFERENCES[name](target[i], np.exp(log_probabilities[i])) for i in rows]
    np.testing.assert_allclose(values, expected, atol=1e-12)


def test_agrees_with_scikit_learn_over_several_classes() -> None:
    log_probabilities, target, weights = example(4)
    probabilities = np.exp(log_probabilities)
    values = classification.measure(log_probabilities, target, weights[:1])
    assert values["roc_auc"][0] == pytest.approx(reference.roc_auc_score(target, probabilities, multi_class="ovr"))
    assert values["average_precision"][0] == pytest.approx(reference.average_precision_score(target, probabilities))
    assert values["balanced_accuracy"][0] == pytest.approx(
        reference.balanced_accuracy_score(target, probabilities.argmax(axis=1))
    )


def test_every_metric_has_a_reference_here() -> None:
    assert set(classification.measure(*example(2))) == set(REFERENCES)


def test_perfect_and_uninformed_rankings() -> None:
    target = np.array([0, 0, 1, 1])
    perfect = log_softmax(np.array([[2.0, 0], [1, 0], [0, 1], [0, 2]]), axis=1)
    uninformed = np.log(np.full((4, 2), 0.5))
    ones = np.ones((1, 4))
    assert classification.measure(perfect, target, ones)["roc_auc"] == [1.0]
    values = classification.measure(uninformed, target, ones)
    assert values["roc_auc"] == values["average_precision"] == [0.5]


def test_ranks_two_classes_where_probabilities_round_to_one() -> None:
    logits = np.array([[0.0, 800.0], [0.0, 801.0], [0.0, 802.0]])
    values = classification.measure(log_softmax(logits, axis=1), np.array([0, 1, 1]), np.ones((1, 3)))
    assert values["roc_auc"] == [1.0]


def test_one_class_leaves_the_rankings_undefined() -> None:
    log_probabilities, target, weights = example(3)
    values = classification.measure(log_probabilities, np.zeros_like(target), weights[:1])
    assert np.isnan(values["roc_auc"]) and np.isnan(values["average_precision"])
    assert np.isfinite(values["accuracy"]) and np.isfinite(values["log_loss"])


def test_bins_of_confidence_hold_their_upper_edge() -> None:
    log_probabilities = np.log([[0.5, 0.5], [0.1, 0.9]])  # 0.5 belongs to (0, 0.5], so the two rows do not cancel
    values = classification.ece(log_probabilities, np.array([0, 0]), np.ones((1, 2)), bins=2)
    assert values == pytest.approx([(0.5 + 0.9) / 2])


def test_confidence_of_exactly_one_falls_into_the_last_bin() -> None:
    certain = np.array([[0.0, -800.0], [0.0, -800.0]])
    assert classification.ece(certain, np.array([0, 1]), np.ones((1, 2))) == [0.5]
