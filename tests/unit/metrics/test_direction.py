import numpy as np
import pytest

from polymodal.errors import ConfigError
from polymodal.metrics import classification, direction, ordinal, regression, tagging

KNOWN = classification.GREATER_IS_BETTER | regression.GREATER_IS_BETTER


def test_the_better_of_two_predictions_is_named_better_by_every_metric() -> None:
    target = np.array([0, 1, 0, 1, 1, 0])
    ones = np.ones((1, 6))
    good = np.log(np.where(np.eye(2)[target] == 1, 0.9, 0.1))
    bad = good[:, ::-1]
    numbers = target.astype(float)
    pairs = {
        **{
            name: (v[0], classification.measure(bad, target, ones)[name][0])
            for name, v in classification.measure(good, target, ones).items()
        },
        **{
            name: (v[0], regression.measure(1 - numbers, numbers, ones)[name][0])
            for name, v in regression.measure(numbers + 0.1, numbers, ones).items()
        },
    }
    assert set(pairs) == set(KNOWN)
    for name, (better, worse) in pairs.items():
        assert (better > worse) == direction.greater_is_better(KNOWN, name), name


def test_the_same_for_classes_in_order_and_for_labels() -> None:
    target, ones = np.array([0, 1, 2, 0, 1, 2]), np.ones((1, 6))
    good = np.log(np.where(np.eye(3)[target] == 1, 0.8, 0.1))
    bad = np.roll(good, 1, axis=1)
    has = np.eye(3)[target]
    for known, better, worse in (
        (ordinal.GREATER_IS_BETTER, ordinal.measure(good, target, ones), ordinal.measure(bad, target, ones)),
        (tagging.GREATER_IS_BETTER, tagging.measure(8 * has - 4, has, ones), tagging.measure(4 - 8 * has, has, ones)),
    ):
        assert set(better) == set(known)
        for name, value in better.items():
            assert (value[0] > worse[name][0]) == direction.greater_is_better(known, name), name


def test_a_typo_in_a_metric_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'acuracy'.*Did you mean 'accuracy'.*log_loss"):
        direction.greater_is_better(classification.GREATER_IS_BETTER, "acuracy")


def test_a_task_may_bring_metrics_of_its_own() -> None:
    known = {"poisson_deviance": False, "luck": True}
    assert not direction.greater_is_better(known, "poisson_deviance")
    assert direction.greater_is_better(known, "luck")
    with pytest.raises(ConfigError, match="rmse"):
        direction.greater_is_better(known, "rmse")


def test_of_one_of_several_targets_the_longest_name_counts() -> None:
    known = {"error": False, "error_rate_kept": True}
    assert direction.greater_is_better(known, "error_rate_kept_height")
    assert not direction.greater_is_better(known, "error_height")
