"""The model against its own parts, run by hand row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from polymodal.fusions.concat import Concat, ConcatConfig
from polymodal.layers.auxiliary import AuxiliaryHeads
from polymodal.model import Model, keep_some
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.types import Batch, Cells, Tokens

TARGET = {"column": "y", "count": 4, "mean": 0.0, "std": 1.0}
ABSENT = torch.nan  # of a cell, in the tests' shorthand


@dataclass(frozen=True)
class Nothing:
    """No settings."""


class Curve(nn.Module):
    """One number of each column -> one token; remembers the cells it was given."""

    Config: ClassVar[type] = Nothing
    width = 3
    token_span = None
    frozen = False
    portable: ClassVar[dict[str, Any]] = {}

    def __init__(self, num_columns: int = 1) -> None:
        super().__init__()
        self.linear = nn.Linear(num_columns, self.width)
        self.seen: list[Tensor] = []

    @classmethod
    def needs(cls, config: Any) -> dict[str, Any]:
        return {}

    def forward(self, *cells: Cells) -> Tokens:
        self.seen.append(torch.cat([column.values for column in cells], dim=1))
        return Tokens.vector(self.linear(self.seen[-1]).tanh())


def make_model(columns: dict[str, Sequence[str]], **settings: Any) -> Model:
    torch.manual_seed(0)
    encoders = {name: Curve(len(of_input)) for name, of_input in columns.items()}
    fusion = Concat(ConcatConfig(width=4), widths=dict.fromkeys(columns, Curve.width))
    return Model(encoders, columns, fusion, make_head(fusion.width), **settings)


def make_head(width: int) -> Regress:
    return Regress(RegressConfig(dropout=0.0), width=width, statistics=TARGET)


def make_batch(encoded: dict[str, Tokens] | None = None, **columns: list[float]) -> Batch:
    cells = {}
    for name, numbers in columns.items():
        values = torch.tensor(numbers).unsqueeze(1)
        cells[name] = Cells(values.nan_to_num(), (~values.isnan().squeeze(1)).long())
    return Batch(cells, rows=torch.arange(len(next(iter(columns.values())))), encoded=encoded or {})


def row_of(batch: Batch, row: int) -> Batch:
    index = torch.tensor([row])
    return Batch({name: cells.rows(index) for name, cells in batch.cells.items()}, rows=index, encoded={})


TWO = {"a": ("x",), "b": ("y",)}


# --- which inputs a row keeps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 1.0])
def test_one_present_input_always_stays_and_an_absent_one_never_does(probability):
    present = torch.rand(4, 2_000) < 0.4
    kept = keep_some(present, probability)
    assert not (kept & ~present).any()
    assert torch.equal(kept.any(dim=0), present.any(dim=0))


@pytest.mark.parametrize("num_inputs", [2, 3, 5])
@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 1.0])
def test_an_input_is_hidden_with_the_probability_unless_it_is_the_last(num_inputs, probability):
    torch.manual_seed(0)
    hidden = ~keep_some(torch.ones(num_inputs, 40_000, dtype=torch.bool), probability)
    expected = probability - probability**num_inputs / num_inputs  # were all to go, any one of them stays
    torch.testing.assert_close(hidden.float().mean(dim=1), torch.full((num_inputs,), expected), atol=0.01, rtol=0)


def test_an_absent_input_does_not_count_as_the_one_that_stays():
    torch.manual_seed(0)
    present = torch.tensor([[True], [True], [False]]).expand(3, 40_000)
    hidden = (~keep_some(present, 0.5)).float().mean(dim=1)
    torch.testing.assert_close(hidden, torch.tensor([0.375, 0.375, 1.0]), atol=0.01, rtol=0)


# --- from cells to tokens --------------------------------------------------------------------------------------------


def test_encoders_see_only_rows_with_a_cell_and_tokens_return_to_their_rows():
    model = make_model({"a": ("x",)})
    batch = make_batch(x=[ABSENT, 2.0, ABSENT, -1.0, 0.0])
    tokens = model.encode("a", batch)
    encoder = model.encoders["a"]
    assert encoder.seen[0].squeeze(1).tolist() == [2.0, -1.0, 0.0]
    assert tokens.present.tolist() == [False, True, False, True, True]
    for row in (1, 3, 4):
        torch.testing.assert_close(tokens.values[row], encoder(batch.cells["x"].rows(torch.tensor([row]))).values[0])


def test_a_row_enters_an_input_of_several_columns_with_any_of_them():
    model = make_model({"a": ("y", "x")})
    tokens = model.encode("a", make_batch(x=[1.0, ABSENT, ABSENT], y=[ABSENT, 2.0, ABSENT]))
    assert model.encoders["a"].seen[0].tolist() == [[0.0, 1.0], [2.0, 0.0]]  # columns in the order of the model
    assert tokens.present.tolist() == [True, True, False]


def test_a_row_is_predicted_alike_alone_and_among_others_and_without_inputs_gets_the_prior():
    model = make_model(TWO).eval()
    batch = make_batch(x=[1.0, ABSENT, 0.5, ABSENT], y=[0.3, -2.0, ABSENT, ABSENT])
    together = model(batch)
    alone = torch.cat([model(row_of(batch, row)).scores for row in range(4)])
    torch.testing.assert_close(together.scores, alone)
    assert together.present.tolist() == [True, True, True, False]
    torch.testing.assert_close(together.scores[3], model.head.prior)
    assert (together.scores[:3] != model.head.prior).all()


@pytest.mark.parametrize("y", [[ABSENT, ABSENT], [1.0, ABSENT]])
def test_an_input_that_nobody_has_leaves_predictions_finite_and_touches_every_parameter(y):
    model = make_model(
        TWO, auxiliary=AuxiliaryHeads({name: make_head(Curve.width) for name in TWO}), modality_dropout=0.5
    )
    lesson = model.training_loss(make_batch(x=[ABSENT, ABSENT], y=y), torch.ones(2))
    loss, prediction = lesson.loss, lesson.prediction
    loss.sum().backward()
    assert torch.isfinite(prediction.scores).all()
    torch.testing.assert_close(prediction.scores[1], model.head.prior)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients.values())
    assert model.encoders["a"].seen == []


def test_tokens_of_a_frozen_encoder_stand_in_for_it():
    model = make_model(TWO).eval()
    batch = make_batch(x=[1.0, ABSENT], y=[0.3, -2.0])
    tokens = model.encode("a", batch)
    model.encoders["a"].forward = None
    short = make_batch({"a": tokens}, y=[0.3, -2.0])
    assert torch.equal(model(short).scores, model.combine({"a": tokens, "b": model.encode("b", batch)}).scores)


# --- the loss --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_each_inputs_own_loss_enters_with_the_weight(weight):
    heads = {name: make_head(Curve.width) for name in TWO}
    model = make_model(TWO, auxiliary=AuxiliaryHeads(heads, loss=weight))
    batch, target = make_batch(x=[1.0, -1.0, ABSENT], y=[0.3, ABSENT, 2.0]), torch.tensor([1.0, -2.0, 0.5])
    lesson = model.training_loss(batch, target)
    loss, prediction = lesson.loss, lesson.prediction
    own = [heads[name].loss(heads[name](model.encode(name, batch)), target) for name in TWO]
    fused = model.head.loss(model(batch), target)
    torch.testing.assert_close(prediction.scores, model(batch).scores)
    torch.testing.assert_close(loss, fused + weight * (own[0] + own[1]) / 2)


def test_inputs_are_hidden_from_the_fusion_while_training_and_from_nothing_else():
    heads = {name: make_head(Curve.width) for name in TWO}
    model = make_model(TWO, auxiliary=AuxiliaryHeads(heads), modality_dropout=1.0)
    numbers = torch.linspace(-1, 1, 64).tolist()
    batch, target = make_batch(x=numbers, y=numbers), torch.zeros(64)
    nobody = [ABSENT] * 64
    lesson = model.training_loss(batch, target)
    loss, prediction = lesson.loss, lesson.prediction
    only = [model(make_batch(x=x, y=y)).scores for x, y in ((numbers, nobody), (nobody, numbers))]
    is_only = [torch.isclose(prediction.scores, scores).squeeze(1) for scores in only]
    assert (is_only[0] ^ is_only[1]).all()
    assert 10 < is_only[0].sum() < 54
    own = sum(heads[name].loss(heads[name](model.encode(name, batch)), target) for name in TWO) / 2
    torch.testing.assert_close(loss, model.head.loss(prediction, target) + own)
    assert torch.equal(model(batch).scores, model(batch).scores)


def test_inputs_that_are_present_vote_beside_their_fusion():
    heads = {name: make_head(Curve.width) for name in TWO}
    model, alone = (make_model(TWO, auxiliary=AuxiliaryHeads(heads, vote=vote)) for vote in (0.25, 0.0))
    alone.load_state_dict(model.state_dict())
    batch = make_batch(x=[1.0, ABSENT, ABSENT], y=[0.3, -2.0, ABSENT])
    own = torch.stack([heads[name](model.encode(name, batch)).scores for name in TWO])
    votes = torch.stack([own[:, 0].mean(dim=0), own[1, 1]])
    fused = alone(batch).scores
    torch.testing.assert_close(model(batch).scores[:2], 0.75 * fused[:2] + 0.25 * votes)
    assert torch.equal(model(batch).scores[2], fused[2])  # the prior, exactly
    model.auxiliary.vote.fill_(0.0)
    torch.testing.assert_close(model(batch).scores, fused)


def test_each_inputs_own_confidence_is_measured_where_it_is_present():
    heads = {name: make_head(Curve.width) for name in TWO}
    model = make_model(TWO, auxiliary=AuxiliaryHeads(heads))
    batch, target = make_batch(x=[1.0, -1.0, ABSENT], y=[0.3, ABSENT, 2.0]), torch.tensor([1.0, -2.0, 0.5])
    own = model.training_loss(batch, target).own
    for place, (name, present) in enumerate({"a": [True, True, False], "b": [True, False, True]}.items()):
        losses = heads[name].loss(heads[name](model.encode(name, batch)), target)
        expected = torch.exp(-losses).where(torch.tensor(present), torch.nan)
        torch.testing.assert_close(own[name], expected.detach(), equal_nan=True)
        assert not own[name].requires_grad, place


def test_without_own_heads_the_fusion_is_asked_only_where_that_is_wanted():
    model = make_model(TWO)
    numbers = [1.0, -0.5]
    batch, target = make_batch(x=numbers, y=[0.3, 2.0]), torch.tensor([1.0, -2.0])
    assert model.training_loss(batch, target).own == {}
    own = model.training_loss(batch, target, ask_inputs=True).own
    alone = model(make_batch(x=numbers, y=[ABSENT, ABSENT]))
    torch.testing.assert_close(own["a"], torch.exp(-model.head.loss(alone, target)).detach())


def test_learned_weights_blend_the_inputs_own_losses():
    heads = {name: make_head(Curve.width) for name in TWO}
    model = make_model(TWO, auxiliary=AuxiliaryHeads(heads, loss=2.0, learned=True))
    with torch.no_grad():
        model.auxiliary.blend.log_variance.copy_(torch.tensor([0.7, -0.2]))
    batch, target = make_batch(x=[1.0, -1.0], y=[0.3, 1.0]), torch.tensor([1.0, -2.0])
    lesson = model.training_loss(batch, target)
    own = torch.stack([heads[name].loss(heads[name](model.encode(name, batch)), target) for name in TWO])
    variance = torch.tensor([[0.7], [-0.2]])
    blended = (torch.exp(-variance) * own + variance / 2).mean(dim=0)
    torch.testing.assert_close(lesson.loss, model.head.loss(model(batch), target) + 2 * blended)
    lesson.loss.sum().backward()
    assert model.auxiliary.blend.log_variance.grad.abs().min() > 0


# --- names -----------------------------------------------------------------------------------------------------------


def test_any_column_name_can_be_an_input_and_order_does_not_matter():
    names = ["keys", "a.b", "type", "forward", "", "naïve 😀"]
    columns = {name: (name,) for name in names}
    model = make_model(columns, auxiliary=AuxiliaryHeads({name: make_head(Curve.width) for name in names})).eval()
    again = make_model(
        dict(reversed(columns.items())), auxiliary=AuxiliaryHeads({name: make_head(3) for name in reversed(names)})
    ).eval()
    again.load_state_dict(model.state_dict())
    batch = make_batch(**{name: [float(place), ABSENT] for place, name in enumerate(names)})
    assert torch.equal(model(batch).scores, again(batch).scores)


def test_scores_are_divided_by_the_temperature_but_not_the_prior():
    model = make_model(TWO).eval()
    batch = make_batch(x=[1.0, ABSENT], y=[0.3, ABSENT])
    plain = model(batch).scores
    model.temperature.value.fill_(4.0)
    torch.testing.assert_close(model(batch).scores[0], plain[0] / 4)
    assert torch.equal(model(batch).scores[1], plain[1])
    assert model.state_dict()["temperature.value"] == 4
