"""A training that is stopped between two epochs goes on to the very same weights."""

from copy import deepcopy

import pytest
import torch
from small_objectives import TARGETS, make, plan, take
from torch import nn

from polymodal.config.train import OptimizerConfig, ScheduleConfig
from polymodal.data.cells.dataset import Loader
from polymodal.training.loop import Loop


class Halves(Loader):
    """Two batches an epoch, in an order that changes from epoch to epoch."""

    def __init__(self, batch, rows):
        self.batch, self.rows = batch, rows

    def __len__(self):
        return 2

    def epoch(self, number):
        order = torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(number))
        for rows in self.rows[order].chunk(2):
            yield take(self.batch, rows)


def loop(name, **train):
    task, objective, batch = make(name)
    for module in objective.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.3  # or random numbers would not matter
    settings = {
        "optimizer": OptimizerConfig(name="adamw", lr=0.01, weight_decay=0.01),
        "schedule": ScheduleConfig(name="cosine"),
        "ema": 0.9,
        **train,
    }
    usual = plan(task, epochs=6)
    whole = deepcopy(usual.train).model_copy(update=settings)
    everything = torch.arange(len(batch))
    return Loop(
        objective,
        Halves(batch, everything[:24]),
        Halves(batch, everything[24:]),
        plan=type(usual)(**{**vars(usual), "train": whole}),
    )


@pytest.mark.parametrize("name", TARGETS)
def test_it_goes_on_to_the_same_weights(name, tmp_path):
    straight = loop(name)
    expected = straight.run()

    first = loop(name)
    for _ in range(3):
        first.advance()
    torch.save(first.state_dict(), tmp_path / "state.pt")
    torch.rand(7)  # whatever else happens meanwhile
    second = loop(name)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    found = second.run()

    for key, value in straight.objective.state_dict().items():
        torch.testing.assert_close(second.objective.state_dict()[key], value, rtol=0, atol=0)
    assert found.best_epoch == expected.best_epoch
    assert [record.loss for record in found.epochs] == [record.loss for record in expected.epochs]


def test_without_the_state_of_the_optimizer_it_goes_elsewhere():
    """Else the test above would prove nothing."""
    straight, first = loop("classify"), loop("classify")
    straight.run()
    for _ in range(3):
        first.advance()
    second = loop("classify")
    second.objective.load_state_dict(first.objective.state_dict())
    second.stepper.step, second.history = first.stepper.step, first.history
    second.run()
    pairs = zip(straight.objective.parameters(), second.objective.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)
