"""Joint training: weights and temperature of the ensemble, from rows that its members did not learn from."""

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

ROWS = np.arange(400)
TASK = regress([-1.0, 1.0], dropout=0.0)  # of mean 0 and deviation 1: scores are numbers


class Mixed(Played):
    """The target is what the members predict, mixed, with some noise."""

    def __init__(self, true_weights: list[float], members: tuple[str, ...] = ("unimodal",), noise: float = 0.1) -> None:
        torch.manual_seed(1)
        tokens = {name: Tokens.vector(torch.randn(len(ROWS), 3)) for name in "ab"}
        nothing = encoded(TASK, [0.0] * len(ROWS))
        run = {
            "stage": "intermediate",
            "fusion": {"name": "concat", "width": 4},
            "train": {"auxiliary_loss": 1.0, "ensemble": members},
        }
        super().__init__(TASK, tokens, nothing, settings=run)
        self.network = super().build().eval()
        for parameter in self.network.parameters():
            torch.nn.init.normal_(parameter)
        with torch.inference_mode():
            fused = self.network.model.combine(tokens).values
            said = [fused, *(scores.values for scores in self.network.unimodal(tokens).values())]
        mixed = sum(weight * one for weight, one in zip(true_weights, said, strict=True))
        mixed = mixed + noise * torch.randn(mixed.shape)
        self.all_targets = encoded(TASK, mixed[:, 0].tolist())

    def build(self) -> Ensemble:
        return deepcopy(self.network)


def weights_of(fitter: Mixed, validation: np.ndarray, before: FitResult | None = None) -> list[float]:
    network = fitter.learn(validation, before).network
    assert isinstance(network, Ensemble)
    return network.weights.tolist()


@pytest.mark.parametrize("right", [0, 1, 2])
def test_validation_rows_give_the_member_that_is_right_the_most_weight(right):
    fitter = Mixed([float(place == right) for place in range(3)], noise=2.0)
    few, many = (weights_of(fitter, ROWS[:number])[right] for number in (10, 400))
    prior = fitter.network.prior().tolist()[right]
    assert prior < few < many
    assert many > 0.7 and few < prior + 0.25


def test_mixtures_are_found():
    assert weights_of(Mixed([0.2, 0.5, 0.3]), ROWS) == pytest.approx([0.2, 0.5, 0.3], abs=0.1)


def test_without_any_row_the_weights_are_those_of_before():
    network = (fitter := Mixed([0.0, 1.0, 0.0])).learn(ROWS[:0]).network
    assert network.weights.tolist() == fitter.network.prior().tolist() == [0.5, 0.25, 0.25]
    assert float(network.calibrator.value) == 1


@pytest.mark.parametrize("rows", [np.array([39, 3, *range(50, 200)]), np.array([39, 3, 5])])
def test_predictions_for_the_validation_rows_come_in_their_order_and_are_those_of_the_network(rows):
    fitter = Mixed([0.5, 0.25, 0.25])
    result = fitter.learn(rows)
    assert result.validation is not None and not result.fitted_on_validation
    tokens = {name: Tokens(every.values[rows], every.mask[rows]) for name, every in fitter.all_tokens.items()}
    expected = result.network.combine(tokens)
    torch.testing.assert_close(result.validation.values, expected.values)


def test_a_model_alone_gets_no_other_weight():
    assert weights_of(Mixed([0.0, 1.0, 0.0], members=()), ROWS) == [1.0]


def test_the_last_training_takes_the_weights_and_the_temperature_that_were_found():
    fitter = Mixed([1.0, 0.0, 0.0])
    earlier = fitter.build()
    earlier.weights.copy_(torch.tensor([0.2, 0.7, 0.1]))
    earlier.calibrator.value.fill_(0.7)
    found = fitter.learn(ROWS[:0], FitResult(earlier, {"train": History()})).network
    assert isinstance(found, Ensemble)
    assert torch.equal(found.weights, earlier.weights)
    assert float(found.calibrator.value) == pytest.approx(0.7)


@pytest.mark.parametrize(("best", "epochs"), [(1, 1), (2, 1), (9, 2), (20, 5)])
def test_a_refit_goes_on_from_the_best_weights_for_a_quarter_of_the_epochs_at_half_the_rate(monkeypatch, best, epochs):
    fitter, asked = Mixed([1.0, 0.0, 0.0]), list[tuple[object, ...]]()
    first = FitResult(fitter.build(), {"train": History(best_epoch=best)})
    with torch.no_grad():
        for parameter in first.network.parameters():
            parameter.fill_(0.5)  # other than those of a network that is built anew
    kept = deepcopy(first.network.state_dict())

    def one_step_further(network, rows, validation, *, phase, epochs=None, lr_factor=1.0, seed=None):
        asked.append((phase, epochs, lr_factor, validation, rows.tolist()))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.25)
        return History(best_epoch=epochs)

    monkeypatch.setattr(fitter, "fit", one_step_further)
    again = fitter.learn(before=first)
    assert asked == [("refit", epochs, 0.5, None, ROWS.tolist())]
    assert list(again.histories) == ["refit"]
    assert all(bool((parameter == 0.75).all()) for parameter in again.network.parameters())
    for name, tensor in first.network.state_dict().items():  # the better one, should the refit fail
        assert torch.equal(tensor, kept[name]), name


def run(**train_settings: object) -> Run:
    table = {name: values * 3 for name, values in TABLE.items()}
    return train(table, make(settings(train={"epochs": 1, "final": "best", **train_settings})))


def test_a_run_says_the_weights_and_the_temperature():
    found = run().bundle
    members = ("joint", "unimodal:table", "unimodal:words", "linear:table", "linear:words", "gradient_boosting")
    assert sorted(found.metrics.ensemble) == sorted(members)
    weights = found.metrics.ensemble
    assert [weights[name] for name in found.model.names] == found.model.weights.tolist()
    assert sum(weights.values()) == pytest.approx(1.0)
    assert f"linear:words {weights['linear:words']:.2f}" in found.card
    assert found.metrics.temperature == found.model.calibrator.value != 1
    assert f"divided by the temperature {found.metrics.temperature:.2f}" in found.card


def test_a_run_refits_at_half_the_learning_rate_and_starts_where_the_best_epoch_was():
    steady = {"optimizer": {"lr": 0.03}, "schedule": {"name": "constant", "warmup": 0.0}, "auxiliary_loss": 0.0}
    found = run(final="refit", epochs=12, ensemble=[], augment=False, modality_dropout=0.0, **steady)
    first, refit = found.history, found.refit
    assert refit is not None and len(refit.epochs) == max(1, round(first.best_epoch / 4))
    assert {record.lr for record in first.epochs} == {0.03} and {record.lr for record in refit.epochs} == {0.015}
    assert refit.epochs[0].loss < 0.7 * first.epochs[0].loss  # of a fresh network


def test_a_model_alone_has_no_members_to_speak_of():
    found = run(ensemble=[]).bundle
    assert found.metrics.ensemble == {"joint": 1.0}
    assert found.model.names == ("joint",) and found.model.features is None
    assert "weighted mean" not in found.card
