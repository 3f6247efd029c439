"""What leaves a model: rows are selected and joined, on the CPU in full precision, as a pytree."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from polymodal.protocols import Prediction
from polymodal.types import Cells, Embeddings, Scores, Sequences

torch.manual_seed(0)
PRESENT = torch.tensor([True, False, True, True, False])


def scores() -> Scores:
    return Scores(torch.randn(5, 3), PRESENT)


def sequences(longest: int = 4, *, spans: bool = False) -> Sequences:
    ids = torch.randint(1, 9, (5, 2, longest))
    lengths = torch.randint(0, longest + 1, (5, 2))
    return Sequences(ids, lengths, -torch.rand(5, 2), PRESENT, torch.rand(5, 2, longest, 2) if spans else None)


def embeddings() -> Embeddings:
    return Embeddings(torch.randn(5, 2, 3), torch.tensor([[1, 1], [0, 0], [1, 0], [0, 1], [0, 0]]).bool())


KINDS = [scores(), sequences(), sequences(spans=True), embeddings()]
kinds = pytest.mark.parametrize("prediction", KINDS, ids=["scores", "sequences", "spans", "embeddings"])


def same(first: Prediction, second: Prediction) -> bool:
    pairs = zip(tree_leaves(first), tree_leaves(second), strict=True)
    return type(first) is type(second) and all(torch.equal(one, other) for one, other in pairs)


@kinds
def test_keeps_the_protocol(prediction: Prediction) -> None:
    assert isinstance(prediction, Prediction)
    assert torch.equal(prediction.present, PRESENT)


@kinds
@pytest.mark.parametrize(
    "index",
    [torch.tensor([3, 0, 0]), torch.tensor([], dtype=torch.long), torch.tensor([True, False, False, True, True])],
)
def test_rows_are_selected_by_number_or_by_a_mask(prediction: Prediction, index: torch.Tensor) -> None:
    found = prediction.rows(index)
    for field in fields(prediction):
        of_all, of_some = getattr(prediction, field.name), getattr(found, field.name)
        assert (of_all is None) == (of_some is None)
        if of_all is not None:
            np.testing.assert_array_equal(of_some.numpy(), of_all.numpy()[index.numpy()])


@kinds
def test_what_was_selected_can_be_joined_again(prediction: Prediction) -> None:
    parts = [prediction.rows(torch.arange(5)[part]) for part in (slice(0, 2), slice(2, 2), slice(2, 5))]
    assert same(type(prediction).joined(parts), prediction)


def test_joined_sequences_are_padded_with_zeros() -> None:
    short, long = sequences(2, spans=True), sequences(4, spans=True)
    found = Sequences.joined([short, long])
    assert found.ids.shape == (10, 2, 4) and found.spans is not None and found.spans.shape == (10, 2, 4, 2)
    assert torch.equal(found.ids[:5, :, :2], short.ids) and torch.equal(found.ids[5:], long.ids)
    assert not found.ids[:5, :, 2:].any() and not found.spans[:5, :, 2:].any()
    assert torch.equal(found.lengths, torch.cat([short.lengths, long.lengths]))
    assert torch.equal(found.spans[:5, :, :2], short.spans)


def test_spans_are_kept_only_where_all_parts_have_them() -> None:
    assert Sequences.joined([sequences(spans=True), sequences()]).spans is None


@kinds
def test_on_the_cpu_half_precision_becomes_full(prediction: Prediction) -> None:
    for dtype, expected in ((torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64,) * 2):
        narrow = tree_map(lambda leaf, dtype=dtype: leaf.to(dtype) if leaf.is_floating_point() else leaf, prediction)
        found = narrow.cpu()
        kept = [leaf.dtype for leaf in tree_leaves(found) if leaf.is_floating_point()]
        assert kept and set(kept) == {expected}
        for before, after in zip(tree_leaves(narrow), tree_leaves(found), strict=True):
            torch.testing.assert_close(after, before, check_dtype=False, rtol=0, atol=0)


@kinds
def test_a_pytree_holds_its_tensors_and_comes_back(prediction: Prediction) -> None:
    leaves, form = tree_flatten(prediction)
    assert len(leaves) == sum(getattr(prediction, field.name) is not None for field in fields(prediction))
    assert all(isinstance(leaf, torch.Tensor) and len(leaf) == 5 for leaf in leaves)
    assert same(tree_unflatten(leaves, form), prediction)


def test_rows_with_nothing_present_get_the_prior_and_no_gradient() -> None:
    values, prior = torch.randn(5, 3, requires_grad=True), torch.tensor([1.0, 2.0, 3.0])
    found = Scores.with_prior(values, PRESENT, prior)
    assert torch.equal(found.values[PRESENT], values[PRESENT])
    assert found.values[~PRESENT].tolist() == [[1, 2, 3]] * 2
    found.values.sum().backward()
    assert (values.grad == PRESENT.unsqueeze(1)).all()


def test_an_embedding_is_present_where_one_side_is() -> None:
    assert replace(embeddings(), mask=torch.eye(5)[:, :2].bool()).present.tolist() == [True, True, False, False, False]


# --- the target of some rows


def test_cells_of_one_shape_are_stacked() -> None:
    found = Cells.stacked([np.array([1.0, 2.0]), None, np.array([3.0, 4.0])], shape=(2,), dtype=np.float64)
    assert found.values.tolist() == [[1, 2], [0, 0], [3, 4]]
    assert (found.lengths.tolist(), found.present.tolist()) == ([1, 0, 1], [True, False, True])
    assert found.rows(found.present).values.tolist() == [[1, 2], [3, 4]]
    assert Cells.stacked([None], shape=(2, 3), dtype=np.int64).values.shape == (1, 2, 3)


def test_joined_cells_are_padded_along_time() -> None:
    parts = [Cells(torch.ones(2, width, 2), torch.tensor([width, 0])) for width in (1, 3)]
    found = Cells.joined(parts)
    assert found.values.shape == (4, 3, 2)
    assert found.values[:, :, 0].tolist() == [[1, 0, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1]]
    assert found.lengths.tolist() == [1, 0, 3, 0]
