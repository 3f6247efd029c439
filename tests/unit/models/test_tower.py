"""A tower against its own parts, run by hand row by row."""

from __future__ import annotations

import pytest
import torch
from curves import ABSENT, TWO, make_batch, make_tower

from polymodal.types import Batch


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_encoders_see_only_rows_with_a_cell_and_tokens_return_to_their_rows():
    tower = make_tower({"a": ("x",)})
    numbers = [ABSENT, 2.0, ABSENT, -1.0, 0.0]
    tokens = tower.encode(make_batch(x=numbers))["a"]
    encoder = tower.encoders["a"]
    assert encoder.seen[0].squeeze(1).tolist() == [2.0, -1.0, 0.0]
    assert tokens.present.tolist() == [False, True, False, True, True]
    for row in (1, 3, 4):
        torch.testing.assert_close(tokens.values[row, 0], encoder.curve(torch.tensor([numbers[row]])))


def test_a_row_enters_an_input_of_several_columns_with_any_of_them():
    tower = make_tower({"a": ("y", "x")})
    tokens = tower.encode_input("a", make_batch(x=[1.0, ABSENT, ABSENT], y=[ABSENT, 2.0, ABSENT]))
    assert tower.encoders["a"].seen[0].tolist() == [[0.0, 1.0], [2.0, 0.0]]  # columns in the order of the tower
    assert tokens.present.tolist() == [True, True, False]


def test_the_inputs_that_a_row_has_are_fused():
    """`concat` projects what the inputs say, side by side; what it does with an absent one is its own affair."""
    tower = make_tower(TWO)
    x, y = [1.0, ABSENT, -0.5], [0.3, -2.0, ABSENT]
    fused = tower(make_batch(x=x, y=y))
    for row in range(3):
        alone = tower.fuse(tower.encode(make_batch(x=[x[row]], y=[y[row]])))
        torch.testing.assert_close(fused.values[row], alone.values[0])
    assert fused.present.tolist() == [True, True, True]
    assert not tower(make_batch(x=[ABSENT], y=[ABSENT])).present.any()


@pytest.mark.parametrize("y", [[ABSENT, ABSENT], [1.0, ABSENT]])
def test_an_input_that_nobody_has_never_enters_its_encoder_but_touches_its_parameters(y):
    tower = make_tower(TWO)
    fused = tower(make_batch(x=[ABSENT, ABSENT], y=y))
    fused.values.sum().backward()
    assert torch.isfinite(fused.values).all()
    for parameter in tower.encoders["a"].parameters():
        assert parameter.grad is not None and not parameter.grad.any()
    assert tower.encoders["a"].seen == []


def test_tokens_that_were_computed_before_stand_in_for_the_encoder():
    tower = make_tower(TWO)
    batch = make_batch(x=[1.0, ABSENT], y=[0.3, -2.0])
    tokens = tower.encode(batch)
    calls = len(tower.encoders["a"].seen)
    short = Batch({"y": batch.cells["y"]}, rows=batch.rows, encoded={"a": tokens["a"]})
    assert torch.equal(tower(short).values, tower.fuse(tokens).values)
    assert len(tower.encoders["a"].seen) == calls
