"""Joint training: the ensemble weight of the unimodal predictions."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from played import Played, encoded, regress
from stage_tables import TABLE, settings

from polymodal.config.run_config import make
from polymodal.metrics.history import History
from polymodal.models.ensemble import Ensemble
from polymodal.models.stage import FitResult
from polymodal.pipeline.run import Run, train
from polymodal.types import Tokens

ROWS = np.arange(40)
TASK = regress([-1.0, 1.0], dropout=0.0)  # of mean 0 and deviation 1: scores are numbers


class Mixed(Played):
    """The target is what the fusion and the inputs say, mixed."""

    def __init__(self, true_weight: float, said: float | None = None) -> None:
        torch.manual_seed(1)
        tokens = {name: Tokens.vector(torch.randn(len(ROWS), 3)) for name in "ab"}
        nothing = encoded(TASK, [0.0] * len(ROWS))
        said_so = {} if said is None else {"ensemble_weight": said}
        run = {
            "stage": "intermediate",
            "fusion": {"name": "concat", "width": 4},
            "train": {"auxiliary_loss": 1.0, **said_so},
        }
        super().__init__(TASK, tokens, nothing, settings=run)
        self.network = super().build().eval()
        for parameter in self.network.parameters():
            torch.nn.init.normal_(parameter)
        with torch.inference_mode():
            fused = self.network.model.combine(tokens).values
            own = torch.stack([scores.values for scores in self.network.unimodal(tokens).values()]).mean(dim=0)
        mixed = (1 - true_weight) * fused + true_weight * own
        self.all_targets = encoded(TASK, mixed[:, 0].tolist())

    def build(self) -> Ensemble:
        return deepcopy(self.network)


def weight_of(fitter: Mixed, validation: np.ndarray, before: FitResult | None = None) -> float:
    network = fitter.learn(validation, before).network
    assert isinstance(network, Ensemble)
    return float(network.weight)


@pytest.mark.parametrize(("true_weight", "found"), [(0.0, 0.0), (0.25, 0.5), (0.5, 0.5), (0.75, 0.5)])
def test_unimodal_predictions_count_unless_validation_rows_say_that_this_does_harm(true_weight, found):
    assert weight_of(Mixed(true_weight), ROWS[10:]) == found


def test_few_rows_do_not_say_so():
    assert weight_of(Mixed(0.0), ROWS[:29]) == 0.5


def test_without_validation_rows_it_is_half():
    assert weight_of(Mixed(0.0), ROWS[:0]) == 0.5


def test_predictions_for_the_validation_rows_come_in_their_order_and_are_those_of_the_network():
    fitter, rows = Mixed(0.25), np.array([39, 3, *range(5, 35)])
    result = fitter.learn(rows)
    assert result.validation is not None and not result.fitted_on_validation
    tokens = {name: Tokens(every.values[rows], every.mask[rows]) for name, every in fitter.all_tokens.items()}
    expected = result.network.combine(tokens)
    torch.testing.assert_close(result.validation.values, expected.values)
    assert fitter.learn(rows[:5]).validation is None


def test_what_the_user_says_stays():
    assert weight_of(Mixed(0.75, said=0.25), ROWS) == 0.25
    assert weight_of(Mixed(0.0, said=0.25), ROWS) == 0.25


def test_a_model_without_a_weight_gets_none():
    assert weight_of(Mixed(0.75, said=0.0), ROWS) == 0


def test_the_last_training_takes_the_weight_and_the_temperature_that_were_found():
    fitter = Mixed(0.0)
    earlier = fitter.build()
    earlier.weight.fill_(0.75)
    earlier.calibrator.value.fill_(0.7)
    found = fitter.learn(ROWS[:0], FitResult(earlier, {"train": History()})).network
    assert isinstance(found, Ensemble)
    assert float(found.weight) == 0.75
    assert float(found.calibrator.value) == pytest.approx(0.7)


def test_a_run_says_the_weight_and_the_temperature():
    table = {name: values * 5 for name, values in TABLE.items()}  # so that there are 40 validation rows

    def run(weight: float) -> Run:
        return train(table, make(settings(train={"epochs": 1, "final": "best", "ensemble_weight": weight})))

    found = run(0.25).bundle
    assert found.metrics.ensemble_weight == 0.25 == float(found.model.weight)
    assert "ensemble weight of 0.25" in found.card
    assert found.metrics.temperature == found.model.calibrator.value != 1
    assert f"divided by the temperature {found.metrics.temperature:.2f}" in found.card
    assert "ensemble weight of" not in run(0.0).bundle.card
