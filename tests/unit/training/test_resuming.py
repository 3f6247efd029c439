"""A training that is cut in two, with its state saved in between, ends as one that is not."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from toys import Arrays, Flat, Through, assemble, make_head, make_stepper, with_heads

from polymodal.config.train import OptimizerConfig, ScheduleConfig
from polymodal.training.objective import Objective
from polymodal.training.step import Stepper
from polymodal.training.weights import BestWeights, WeightAverage

RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(24, 3)), RNG.normal(size=(24, 2))
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.3 * Z[:, 0]
EPOCHS, STEPS = 2, 3
SETTINGS: dict[str, dict[str, Any]] = {
    "adamw with ema": {"ema": 0.8},
    "sgd with momentum": {"optimizer": OptimizerConfig(name="sgd", lr=0.01, weight_decay=0.1, momentum=0.9)},
    "everything": {"ema": 0.9, "mixup": {"alpha": 0.4}, "balance": "ogm_ge", "max_norm": 2.0, "orthogonality": 1e-3},
}


class Learning(Through):
    """Numbers times a weight that learns, with dropout."""

    def __init__(self) -> None:
        super().__init__(dropout=0.3)
        self.scale.requires_grad_(True)


def make_objective() -> Objective:
    """Two inputs with unimodal heads, whose losses are blended by learned weights; inputs are masked at random."""
    torch.manual_seed(0)
    columns = {"x": ("x",), "z": ("z",)}
    model = assemble({"x": Learning(), "z": Learning()}, columns, Flat(5), make_head(5))
    network = with_heads(model, {name: make_head(1) for name in "xz"})
    return Objective(network, auxiliary_loss=1.0, learned_blend=True, modality_dropout=0.3)


def stepper_of(objective: Objective, settings: dict[str, Any]) -> Stepper:
    adamw = OptimizerConfig(name="adamw", lr=0.05, weight_decay=0.1)
    plan = {"optimizer": adamw, "schedule": ScheduleConfig(name="cosine", warmup=0.2), **settings}
    return make_stepper(objective, steps_per_epoch=STEPS, epochs=EPOCHS, **plan)


def learn(stepper: Stepper, epoch: int) -> list[float]:
    """One epoch; the loss of each row, before its update."""
    stepper.begin(epoch)
    outputs = [stepper.update([batch]) for batch in Arrays({"x": X, "z": Z}, Y, sizes=(8,)).epoch(epoch)]
    return torch.cat([output.losses for parts in outputs for output in parts]).tolist()


def through_a_file(state: Any) -> Any:
    """What comes back of a state that holds nothing but tensors and plain values."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def copies(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_six_steps_are_three_and_three_more_from_a_saved_state(settings):
    whole = make_objective()
    with stepper_of(whole, settings) as stepper:
        losses = [learn(stepper, epoch) for epoch in (1, 2)]
        before_average = copies(whole)

    first = make_objective()
    cut = stepper_of(first, settings)
    assert learn(cut, 1) == losses[0]
    state = through_a_file({"weights": first.state_dict(), "stepper": cut.state_dict()})
    at_the_cut = copies(first)

    torch.rand(7)  # whatever was drawn in between does not matter
    second = make_objective()
    assert any(not torch.equal(value, at_the_cut[name]) for name, value in second.state_dict().items())
    with stepper_of(second, settings) as again:
        second.load_state_dict(state["weights"])
        again.load_state_dict(state["stepper"])
        assert again.step == STEPS
        assert learn(again, 2) == losses[1]
        assert_equal(copies(second), before_average)
    assert_equal(copies(second), copies(whole))
    assert_equal(copies(first), at_the_cut)  # the state that was saved shares nothing with what went on
    if "ema" in settings:
        assert any(not torch.equal(value, before_average[name]) for name, value in copies(whole).items())


def test_the_average_alone_goes_on_from_its_state():
    torch.manual_seed(0)
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    weights = torch.randn(6, 2, 3)

    def take(layer: nn.Linear, average: WeightAverage, values: torch.Tensor) -> None:
        for value in values:
            layer.weight.data.copy_(value)
            average.update()

    second.load_state_dict(first.state_dict())
    whole, cut, again = (WeightAverage(layer, 0.7) for layer in (first, second, second))
    take(first, whole, weights)
    take(second, cut, weights[:3])
    again.load_state_dict(through_a_file(cut.state_dict()))
    take(second, again, weights[3:])
    whole.put_in()
    again.put_in()
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, weights[-1])


def test_the_state_of_an_average_does_not_follow_it():
    layer = nn.Linear(2, 2)
    average = WeightAverage(layer, 0.5)
    average.update()
    state = average.state_dict()
    before = through_a_file(state)
    layer.weight.data.add_(1.0)
    average.update()
    assert state["num_updates"] == before["num_updates"]
    assert all(torch.equal(*pair) for pair in zip(state["average"], before["average"], strict=True))


@pytest.mark.parametrize("values", [[0.1, 0.5, 0.4, 0.9], [0.1, 0.9, 0.4, 0.5]], ids=["after", "before"])
def test_the_best_weights_of_both_parts_are_found(values):
    """The best epoch lies after the cut, or before it."""
    plan = {"schedule": ScheduleConfig(name="constant", warmup=0.0)}
    whole, cut = make_objective(), make_objective()
    of_whole, of_cut, again = (BestWeights(part, greater_is_better=True) for part in (whole, cut, cut))

    def go_on(stepper: Stepper, best: BestWeights, epochs: range) -> None:
        for epoch in epochs:
            learn(stepper, epoch)
            best.see(epoch, values[epoch - 1])

    go_on(stepper_of(whole, plan), of_whole, range(1, 5))
    stepper = stepper_of(cut, plan)
    go_on(stepper, of_cut, range(1, 3))
    again.load_state_dict(through_a_file(of_cut.state_dict()))
    go_on(stepper, again, range(3, 5))
    of_whole.restore()
    again.restore()
    assert of_whole.epoch == again.epoch == 1 + values.index(0.9)
    assert_equal(copies(whole), copies(cut))
