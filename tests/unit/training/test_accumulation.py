"""Several batches in one update are one batch, also to a loss that looks across its batch."""

import pytest
import torch
from small_objectives import ROWS, TARGETS, make, plan, take

from polymodal.training.step import Stepper


def updated(name: str, sizes: list[int]) -> dict[str, torch.Tensor]:
    """The weights after one step of all rows in batches of these sizes; their change is the gradient."""
    task, objective, batch = make(name)
    batches = [take(batch, rows) for rows in torch.arange(ROWS).split(sizes)]
    with Stepper(objective, plan(task), steps_per_epoch=1) as stepper:
        stepper.begin(1)
        stepper.update(batches)
    return dict(objective.named_parameters())


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("sizes", [[8] * 4, [20, 11, 1]], ids=str)
def test_batches_of_one_update_give_the_gradient_of_their_union(name, sizes):
    whole, parts = updated(name, [ROWS]), updated(name, sizes)
    for parameter in whole:
        torch.testing.assert_close(parts[parameter], whole[parameter], rtol=0, atol=1e-8)


def test_the_gradient_of_a_loss_across_the_batch_is_not_the_mean_of_its_parts():
    """Else the test above would prove nothing of it."""
    whole = updated("match", [ROWS])
    _, objective, batch = make("match")
    (objective(take(batch, torch.arange(8))).values.mean()).backward()
    first = next(objective.parameters())
    before = dict(make("match")[1].named_parameters())
    name = next(iter(before))
    assert not torch.allclose(first.grad, (before[name] - whole[name]) / 0.1, atol=1e-3)
