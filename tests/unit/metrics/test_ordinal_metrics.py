import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from polymodal.metrics import ordinal

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(50, 4))
LOG_PROBABILITIES = LOGITS - np.logaddexp.reduce(LOGITS, axis=1, keepdims=True)
TARGET = RNG.integers(0, 4, 50)


def test_kappa_and_steps_are_those_of_scikit_learn_whatever_the_weights() -> None:
    counts = RNG.integers(0, 3, (3, 50))
    found = ordinal.measure(LOG_PROBABILITIES, TARGET, counts.astype(float))
    for place, times in enumerate(counts):
        rows = np.repeat(np.arange(50), times)
        said, truth = LOG_PROBABILITIES[rows].argmax(axis=1), TARGET[rows]
        kappa = cohen_kappa_score(truth, said, weights="quadratic")
        assert found["quadratic_weighted_kappa"][place] == pytest.approx(kappa)
        assert found["rank_mae"][place] == pytest.approx(mean_absolute_error(truth, said))


def test_kappa_is_undefined_where_nothing_varies() -> None:
    confidences = np.log(np.array([[0.9, 0.1]] * 3))
    assert np.isnan(
        ordinal.measure(confidences, np.zeros(3, dtype=int), np.ones((1, 3)))["quadratic_weighted_kappa"][0]
    )
