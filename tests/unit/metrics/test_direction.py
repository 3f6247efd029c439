import numpy as np
import pytest

from polymodal.errors import ConfigError
from polymodal.metrics import classification, direction, regression
from polymodal.tasks.regress import Regress


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
    assert len(pairs) == 10
    for name, (better, worse) in pairs.items():
        assert (better > worse) == direction.larger_is_better(name), name


def test_a_typo_in_a_metric_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'acuracy'.*Did you mean 'accuracy'.*log_loss"):
        direction.larger_is_better("acuracy")


def test_a_task_may_bring_metrics_of_its_own(monkeypatch) -> None:
    monkeypatch.setattr(Regress, "larger_is_better", {"poisson_deviance": False, "luck": True}, raising=False)
    assert not direction.larger_is_better("poisson_deviance")
    assert direction.larger_is_better("luck")
