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
