"""What the table encoder makes of cells that training never showed."""

import torch

from polymodal.encoders.table.mlp import Mlp
from polymodal.modalities.category import Category


def test_categories_that_training_may_never_show_start_near_the_mean_of_the_others():
    names = [f"n{number}" for number in range(200)]
    color = Category(Category.Config(), {"categories": names})
    (column,) = Mlp(Mlp.Config(), color).columns
    size = column.embedding.weight.detach().norm(dim=1)
    unseen, missing, others = size[0], size[color.cardinality], size[1 : color.cardinality]
    assert 0 < max(unseen, missing) < 0.5 * others.min()
    assert not torch.equal(column.embedding.weight[0], column.embedding.weight[color.cardinality])


def test_training_takes_some_of_many_categories_for_unseen_ones_and_evaluation_none():
    torch.manual_seed(0)
    user = Category(Category.Config(), {"categories": [f"u{number}" for number in range(100)]})
    (column,) = Mlp(Mlp.Config(category_dropout=0.25), user).columns
    codes, present = torch.tensor([[1], [2]] * 5_000), torch.tensor([True, True] * 4_999 + [False, False])
    vectors = column.train()(codes, present)
    unseen = (vectors == column.embedding.weight[0]).all(dim=1)
    assert 0.22 < unseen.float().mean() < 0.28
    assert torch.equal(vectors[-2:], column.embedding.weight[[101, 101]])  # a missing cell stays one
    assert torch.equal(column.eval()(codes, present)[:2], column.embedding.weight[[1, 2]])


def test_few_categories_are_never_taken_for_unseen_ones():
    color = Category(Category.Config(), {"categories": ["red", "blue"]})
    (column,) = Mlp(Mlp.Config(), color).columns
    codes = torch.tensor([[1], [2]] * 500)
    vectors = column.train()(codes, torch.ones(1_000, dtype=torch.bool))
    assert torch.equal(vectors, column.embedding.weight[codes.squeeze(1)])
