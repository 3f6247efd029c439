import numpy as np
import pytest
from sklearn import metrics as reference

from polymodal.metrics import tagging

ROWS, LABELS = 60, 7


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits with ties, and labels that they tell something of; the last label no row has."""
    rng = np.random.default_rng(seed)
    target = (rng.random((ROWS, LABELS)) < np.linspace(0.1, 0.6, LABELS)).astype(float)
    target[:, -1] = 0
    return np.round(2 * target + rng.normal(size=target.shape) - 1, 1), target


def expected(logits: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """The same by scikit-learn, for rows of weight one."""
    varied = (target.min(axis=0) < target.max(axis=0)).nonzero()[0]
    probabilities, said = 1 / (1 + np.exp(-logits)), (logits >= 0).astype(int)
    some = target.sum(axis=1) > 0
    used = (target + said).sum(axis=0) > 0
    return {
        "macro_average_precision": np.mean(
            [reference.average_precision_score(target[:, k], logits[:, k]) for k in varied]
        ),
        "micro_average_precision": reference.average_precision_score(target.ravel(), logits.ravel()),
        "macro_roc_auc": np.mean([reference.roc_auc_score(target[:, k], logits[:, k]) for k in varied]),
        "macro_f1": reference.f1_score(target[:, used], said[:, used], average="macro"),
        "micro_f1": reference.f1_score(target, said, average="micro"),
        "ranking_precision": reference.label_ranking_average_precision_score(target[some], logits[some]),
        "label_log_loss": np.mean(
            [reference.log_loss(target[:, k], p, labels=[0, 1]) for k, p in enumerate(probabilities.T)]
        ),
    }


def test_all_metrics_are_those_of_scikit_learn() -> None:
    logits, target = drawn()
    found = tagging.measure(logits, target, np.ones((1, ROWS)))
    assert {name: value[0] for name, value in found.items()} == pytest.approx(expected(logits, target))


def test_a_weight_is_a_repetition() -> None:
    logits, target = drawn()
    counts = np.random.default_rng(1).integers(0, 3, (4, ROWS))
    found = tagging.measure(logits, target, counts.astype(float))
    for place, times in enumerate(counts):
        rows = np.repeat(np.arange(ROWS), times)
        assert {name: value[place] for name, value in found.items()} == pytest.approx(
            expected(logits[rows], target[rows])
        )


def test_a_constant_score_has_the_prevalence_as_its_average_precision() -> None:
    _, target = drawn()
    found = tagging.measure(np.full(target.shape, -1.0), target, np.ones((1, ROWS)))
    assert found["macro_average_precision"][0] == pytest.approx(target[:, :-1].mean())
    assert found["macro_roc_auc"][0] == pytest.approx(0.5)
    assert found["micro_f1"][0] == 0


def test_without_any_label_most_metrics_are_undefined() -> None:
    found = tagging.measure(np.full((3, 2), -1.0), np.zeros((3, 2)), np.ones((1, 3)))
    assert {name for name, value in found.items() if np.isnan(value[0])} == set(found) - {"label_log_loss"}


def test_a_lower_threshold_finds_more() -> None:
    logits, target = np.array([[-1.0], [-3.0]]), np.array([[1.0], [0.0]])
    assert tagging.measure(logits, target, np.ones((1, 2)))["micro_f1"][0] == 0
    assert tagging.measure(logits, target, np.ones((1, 2)), threshold=0.2)["micro_f1"][0] == 1
