import numpy as np
import pytest

from polymodal.config.train import ModalityDropoutScheduleConfig, ScheduleConfig
from polymodal.training.optim import make_schedule, modality_dropout_factor

STEPS, WARMUP = 40, 8


def factors(name: str, warmup: float = WARMUP / STEPS, num_steps: int = STEPS) -> np.ndarray:
    factor = make_schedule(ScheduleConfig(name=name, warmup=warmup), num_steps)
    return np.array([factor(step) for step in range(num_steps)])


@pytest.mark.parametrize("name", ["constant", "cosine", "linear"])
def test_warm_up_rises_in_equal_steps_to_the_one_peak(name):
    rise = factors(name)[: WARMUP + 1]
    np.testing.assert_allclose(rise, np.linspace(0, 1, WARMUP + 2)[1:])


def test_after_the_warm_up_each_schedule_is_its_closed_form():
    progress = np.arange(STEPS - WARMUP) / (STEPS - WARMUP)
    np.testing.assert_allclose(factors("constant")[WARMUP:], 1)
    np.testing.assert_allclose(factors("linear")[WARMUP:], 1 - progress)
    np.testing.assert_allclose(factors("cosine")[WARMUP:], np.cos(np.pi * progress / 2) ** 2)


@pytest.mark.parametrize("name", ["constant", "cosine", "linear"])
@pytest.mark.parametrize(("warmup", "num_steps"), [(0.0, 1), (0.99, 1), (0.99, 5), (0.5, 3), (0.05, 7)])
def test_no_step_is_lost_at_zero_however_short_the_training(name, warmup, num_steps):
    values = factors(name, warmup, num_steps)
    assert (values > 0).all()
    assert (values <= 1).all()


@pytest.mark.parametrize(
    ("name", "until", "factors"),
    [("constant", 0.5, [1, 1, 1, 1]), ("linear", 1.0, [0, 0.25, 0.5, 0.75]), ("linear", 0.5, [0, 0.5, 1, 1])],
)
def test_inputs_are_hidden_more_and_more_often(name, until, factors):
    config = ModalityDropoutScheduleConfig(name=name, until=until)
    assert [modality_dropout_factor(config, epoch, 4) for epoch in (1, 2, 3, 4)] == factors
