"""The model against its own parts, run by hand row by row."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from curves import ABSENT, Curve, grown, make_batch, make_model, row_of
from torch import Tensor, nn

from polymodal.models.model import Model, Tower
from polymodal.types import Cells, Scores, Tokens

# --- one tower -------------------------------------------------------------------------------------------------------


def test_a_row_is_predicted_alike_alone_and_among_others_and_without_inputs_gets_the_prior():
    model = make_model().eval()
    batch = make_batch(x=[1.0, ABSENT, 0.5, ABSENT], y=[0.3, -2.0, ABSENT, ABSENT])
    together = model(batch)
    alone = torch.cat([model(row_of(batch, row)).values for row in range(4)])
    torch.testing.assert_close(together.values, alone)
    assert together.present.tolist() == [True, True, True, False]
    assert torch.equal(together.values[3], model.head.prior)
    assert (together.values[:3] != model.head.prior).all()


def test_a_prediction_is_what_the_head_makes_of_the_fused_tokens():
    model = make_model().eval()
    grown(model)
    batch = make_batch(x=[1.0, ABSENT], y=[0.3, -2.0])
    fused = model.towers[""].fuse(model.encode(batch)).values[:, 0]
    linear = model.head.readout.linear
    torch.testing.assert_close(model(batch).values, fused @ linear.weight.T + linear.bias)
    torch.testing.assert_close(model.combine(model.encode(batch)).values, model(batch).values)


def test_tokens_of_a_frozen_encoder_stand_in_for_it():
    model = make_model().eval()
    batch = make_batch(x=[1.0, ABSENT], y=[0.3, -2.0])
    tokens = model.encode_input("a", batch)
    model.encoders["a"].forward = None
    short = make_batch({"a": tokens}, y=[0.3, -2.0])
    expected = model.combine({"a": tokens, "b": model.encode_input("b", batch)})
    assert torch.equal(model(short).values, expected.values)


def test_any_column_name_can_be_an_input_and_order_does_not_matter():
    names = ["keys", "a.b", "type", "forward", "", "naïve 😀"]
    columns = {name: (name,) for name in names}
    model, again = make_model(columns).eval(), make_model(dict(reversed(columns.items()))).eval()
    grown(model)
    again.load_state_dict(model.state_dict())
    batch = make_batch(**{name: [float(place), ABSENT] for place, name in enumerate(names)})
    assert torch.equal(model(batch).values, again(batch).values)
    assert list(model.encoders) == sorted(names)


# --- two towers ------------------------------------------------------------------------------------------------------


class Difference(nn.Module):
    """Predicts by how much the mean fused number of one side is above that of the other; keeps what it was given."""

    in_batch = False

    def __init__(self) -> None:
        super().__init__()
        self.given: Mapping[str, Tokens] = {}

    def forward(self, tokens: Mapping[str, Tokens], target: Cells | None = None, progress: float = 1.0) -> Scores:
        self.given = tokens
        left, right = (tokens[side].values[:, 0].mean(dim=1, keepdim=True) for side in ("left", "right"))
        return Scores(left - right, tokens["left"].present & tokens["right"].present)

    def loss(self, output: Scores, target: Cells | None) -> Tensor:
        return output.values[:, 0]

    def predict(self, tokens: Mapping[str, Tokens]) -> Scores:
        return self(tokens)


class Mean(nn.Module):
    """A fusion that takes whatever tokens it is given: their mean over the inputs that are present."""

    Config = type(None)
    keeps_time = False
    width = Curve.width

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        present = torch.stack([model_input.present for model_input in tokens.values()]).float().unsqueeze(2)
        values = torch.stack([model_input.values[:, 0] for model_input in tokens.values()])
        total = (values * present).sum(dim=0) / present.sum(dim=0).clamp_min(1)
        return Tokens.vector(total, present.bool().any(dim=0)[:, 0])


LEFT, RIGHT = {"a": ("x",), "m": ("y", "z")}, {"b": ("w",)}
CELLS = {"x": [1.0, ABSENT, 2.0], "y": [0.5, ABSENT, ABSENT], "z": [ABSENT, -1.0, 0.2], "w": [0.1, 0.2, ABSENT]}


def make_side(columns: Mapping[str, tuple[str, ...]]) -> Tower:
    return Tower({name: Curve(len(model_input)) for name, model_input in columns.items()}, columns, Mean())


@pytest.fixture
def pair() -> Model:
    """Two sides, of which one has two inputs."""
    torch.manual_seed(0)
    model = Model({"right": make_side(RIGHT), "left": make_side(LEFT)}, Difference()).eval()
    grown(model)
    return model


def pair_batch(**changes: list[float]):
    return make_batch(**{**CELLS, **changes})


def by_hand(pair: Model, columns: Mapping[str, tuple[str, ...]], row: int) -> Tensor | None:
    """The fused token of a side for one row; None where nothing is present."""
    tokens = []
    for name, model_input in columns.items():
        numbers = torch.tensor([CELLS[column][row] for column in model_input])
        if not numbers.isnan().all():
            tokens.append(pair.encoders[name].curve(numbers.nan_to_num()))
    return torch.stack(tokens).mean(dim=0) if tokens else None


def test_every_input_goes_to_the_tower_of_its_side(pair):
    prediction = pair(pair_batch())
    for side, columns in (("left", LEFT), ("right", RIGHT)):
        given = pair.head.given[side]
        for row in range(3):
            expected = by_hand(pair, columns, row)
            assert bool(given.present[row]) == (expected is not None)
            if expected is not None:
                torch.testing.assert_close(given.values[row, 0], expected)
    for row in range(2):
        left, right = by_hand(pair, LEFT, row), by_hand(pair, RIGHT, row)
        torch.testing.assert_close(prediction.values[row, 0], left.mean() - right.mean())
    assert prediction.present.tolist() == [True, True, False]


def test_a_cell_changes_the_tokens_of_its_own_side_only(pair):
    def fused(**changes: list[float]) -> dict[str, Tokens]:
        return pair.fuse(pair.encode(pair_batch(**changes)))

    before = fused()
    for column, side in (("x", "left"), ("z", "left"), ("w", "right")):
        after = fused(**{column: [9.0, 9.0, 9.0]})
        other = "right" if side == "left" else "left"
        assert torch.equal(before[other].values, after[other].values)
        assert not torch.equal(before[side].values, after[side].values)


def test_inputs_of_all_sides_are_known_by_name(pair):
    assert pair.columns == {**LEFT, **RIGHT}
    assert {name: pair.encoders[name] for name in "am"} == dict(pair.towers["left"].encoders.items())
    assert pair.encoders["b"] is pair.towers["right"].encoders["b"]
    tokens = pair.encode(pair_batch())
    assert set(tokens) == {"a", "b", "m"}
    for name, model_input in tokens.items():
        assert torch.equal(pair.encode_input(name, pair_batch()).values, model_input.values)
    assert torch.equal(pair.combine(tokens).values, pair(pair_batch()).values)
    assert tokens["a"].present.tolist() == [True, False, True] and tokens["m"].present.all()


def test_an_encoder_of_both_sides_is_held_once():
    shared = Curve()
    towers = {"left": Tower({"c": shared}, {"c": ("z",)}, Mean()), "right": Tower({"a": shared}, {"a": ("x",)}, Mean())}
    model = Model(towers, Difference()).eval()
    prediction = model(make_batch(x=[0.5, 0.5], z=[0.5, 2.0]))
    assert prediction.values[0] == 0 != prediction.values[1]
    assert len(list(model.parameters())) == len(list(shared.parameters()))
