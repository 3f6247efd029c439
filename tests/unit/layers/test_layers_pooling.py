import numpy as np
import pytest
import torch
from torch import nn

from polymodal.layers.pooling import lengths_to_mask, masked_max, masked_mean, masked_softmax

REFERENCE = {
    masked_mean: lambda rows: rows.mean(axis=0),
    masked_max: lambda rows: rows.max(axis=0),
}


@pytest.mark.parametrize("pool", REFERENCE)
def test_pooling_equals_numpy_on_each_row_cut_to_its_length(pool):
    values = torch.randn(4, 5, 3) - 10  # all below zero: a zero that leaks in would be the maximum
    lengths = torch.tensor([5, 1, 3, 2])
    result = pool(values, lengths_to_mask(lengths, 5)).numpy()
    expected = [REFERENCE[pool](row[:length].numpy()) for row, length in zip(values, lengths, strict=True)]
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("pool", REFERENCE)
def test_empty_rows_are_zero_and_nan_in_the_padding_reaches_neither_result_nor_gradient(pool):
    values = torch.randn(3, 4, 2)
    values[:, 2:] = torch.nan
    values[2] = torch.nan
    values.requires_grad_()
    result = pool(values, lengths_to_mask(torch.tensor([2, 1, 0]), 4))
    assert torch.isfinite(result).all()
    assert not result[2].any()
    result.sum().backward()
    assert torch.isfinite(values.grad).all()
    assert not values.grad[:, 2:].any()


@pytest.mark.parametrize("pool", REFERENCE)
def test_pooling_exports_with_any_number_of_rows_and_steps(pool):
    class Pool(nn.Module):
        def forward(self, values, mask):
            return pool(values, mask)

    rows, steps = torch.export.Dim("rows"), torch.export.Dim("steps")
    example = (torch.randn(3, 4, 2), lengths_to_mask(torch.tensor([2, 4, 0]), 4))
    shape = {0: rows, 1: steps}
    exported = torch.export.export(Pool(), example, dynamic_shapes=(shape, shape)).module()
    values, mask = torch.randn(5, 7, 2), lengths_to_mask(torch.tensor([7, 1, 0, 3, 2]), 7)
    assert torch.equal(exported(values, mask), pool(values, mask))


def test_masked_softmax_is_that_of_the_real_entries_and_finite_where_there_is_none():
    scores = torch.tensor([[1.0, 9.0, 2.0], [1.0, 2.0, 3.0]])
    mask = torch.tensor([[True, False, True], [False, False, False]])
    weights = masked_softmax(scores, mask)
    torch.testing.assert_close(weights[0, [0, 2]], scores[0, [0, 2]].softmax(dim=0))
    assert weights[0, 1] == 0
    assert torch.isfinite(weights).all()
    torch.testing.assert_close(masked_softmax(scores[0], mask)[:1], weights[:1])  # scores are broadcast
