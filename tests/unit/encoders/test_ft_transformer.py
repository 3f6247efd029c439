"""FT-Transformer: its tokens by a naive loop, what a missing cell does, and that it learns what a product is."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import mse_loss

from polymodal.encoders.table.ft_transformer import FtTransformer, FtTransformerConfig
from polymodal.errors import ConfigError
from polymodal.modalities.category import Category
from polymodal.modalities.datetime import Datetime
from polymodal.modalities.number import Number
from polymodal.types import Cells

SIZE = Number(Number.Config(), {"centre": 0.0, "spread": 1.0})
COLOUR = Category(Category.Config(), {"categories": ["red", "blue"]})
DAY = Datetime(Datetime.Config(), {"cycles": ["hour", "year"]})


def table(*columns, **settings) -> FtTransformer:
    torch.manual_seed(0)
    small = {"width": 8, "layers": 2, "heads": 2, "hidden": 16}
    return FtTransformer(FtTransformerConfig(**small | settings), *columns).eval()


def numbers(*values: float | None) -> Cells:
    filled = torch.tensor([[0.0 if value is None else value] for value in values])
    return Cells(filled, torch.tensor([int(value is not None) for value in values]))


def codes(*values: int) -> Cells:
    return Cells(torch.tensor(values)[:, None], torch.ones(len(values), dtype=torch.int64))


def test_a_feature_is_one_token_as_in_the_paper(monkeypatch):
    encoder = table(SIZE, COLOUR, DAY)
    seen = {}
    monkeypatch.setattr(encoder.blocks, "forward", lambda values, mask: seen.update(v=values, m=mask) or values)
    day = Cells(torch.randn(2, 5), torch.tensor([1, 0]))
    encoder(numbers(2.0, None), codes(1, 2), day)
    size, colour, moment = encoder.columns
    for row, (x, code) in enumerate([(2.0, 1), (0.0, 2)]):
        expected = [encoder.gather[0], size.bias[0] + x * size.weight[0]]
        expected.append(colour.bias[0] + colour.vectors.embedding.weight[code])
        expected += [moment.bias[j] + day.values[row, j] * moment.weight[j] for j in range(5)]
        torch.testing.assert_close(seen["v"][row], torch.stack(expected))
    assert seen["m"].tolist() == [[True] * 8, [True, False, True] + [False] * 5]


def test_what_stands_in_a_missing_cell_has_no_influence_and_equals_a_table_without_it():
    both, alone = table(SIZE, COLOUR), table(COLOUR)
    alone.load_state_dict({k.replace("columns.1", "columns.0"): v for k, v in both.state_dict().items()
                           if not k.startswith("columns.0")})  # fmt: skip
    empty = Cells(torch.tensor([[1e9], [-3.0]]), torch.tensor([0, 0]))
    torch.testing.assert_close(both(empty, codes(1, 2)).values, alone(codes(1, 2)).values)


def test_a_width_that_the_heads_cannot_divide_is_refused():
    with pytest.raises(ConfigError, match="multiple of heads; got 9, 2"):
        table(SIZE, width=9)


def test_it_learns_a_product_of_two_numbers():
    encoder, head = table(SIZE, SIZE, dropout=0.0, width=16).train(), torch.nn.Linear(16, 1)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=5e-3)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(250):
        x = torch.randn(128, 2, generator=generator)
        ones = torch.ones(128, dtype=torch.int64)
        values = encoder(Cells(x[:, :1], ones), Cells(x[:, 1:], ones)).values[:, 0]
        loss = mse_loss(head(values).squeeze(1), x.prod(dim=1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) / 20 < 0.3  # the best sum of two functions reaches 1
