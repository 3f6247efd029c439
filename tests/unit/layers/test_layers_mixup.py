"""Mixtures against float64 NumPy, row by row."""

from functools import partial

import numpy as np
import torch

from polymodal.layers.mixup import Mixing, of_rows
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.types import Batch, Cells, Tokens

PARTNER = torch.tensor([1, 0, 2])
SHARE = torch.tensor([0.3, 0.9, 0.5])


def mixing(where: str, kept: float = 0.3) -> Mixing:
    return Mixing(partner=PARTNER, kept=kept, share=SHARE, where=where)


def batch(**cells: Cells) -> Batch:
    return Batch(cells, rows=torch.arange(3), encoded={})


def head() -> Classify:
    statistics = {"column": "y", "classes": ["a", "b", "c"], "counts": [1, 1, 1], "prior": [1 / 3] * 3, "kind": "str"}
    torch.manual_seed(0)
    return Classify(ClassifyConfig(dropout=0.0, label_smoothing=0.0), width=4, statistics=statistics)


def test_tokens_are_mixed_place_by_place_and_a_shorter_row_is_followed_by_zeros():
    values = torch.randn(3, 2, 4)
    mask = torch.tensor([[True, True], [True, False], [False, False]])
    values[~mask] = torch.nan
    mixed = mixing("tokens").of_tokens({"x": Tokens(values, mask)})["x"]
    rows = values.nan_to_num().double().numpy()
    expected = 0.3 * rows + 0.7 * rows[PARTNER]
    np.testing.assert_allclose(mixed.values, expected, rtol=1e-6)
    assert mixed.mask.tolist() == [[True, True], [True, True], [False, False]]


def test_cells_are_mixed_sounds_as_long_as_the_longer_and_pictures_as_bytes():
    sound = Cells(torch.tensor([[1.0, 1.0, 1.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]), torch.tensor([3, 1, 0]))
    picture = Cells(
        torch.tensor([[0, 255], [255, 1], [7, 9]], dtype=torch.uint8).view(3, 1, 1, 2), torch.ones(3).long()
    )
    mixed = mixing("inputs").of_batch(batch(s=sound, p=picture)).cells
    np.testing.assert_allclose(mixed["s"].values, [[0.65, 0.3, 0.3], [0.85, 0.7, 0.7], [0, 0, 0]], rtol=1e-6)
    assert mixed["s"].lengths.tolist() == [3, 3, 0]
    assert mixed["p"].values.dtype == torch.uint8
    assert mixed["p"].values.flatten().tolist() == [178, 77, 76, 179, 7, 9]  # 178.5 is rounded to even


def test_each_kind_of_mixing_leaves_the_other_alone():
    tokens = {"x": Tokens.vector(torch.randn(3, 4))}
    given = batch(x=Cells(torch.randn(3, 2), torch.ones(3).long()))
    assert mixing("inputs").of_tokens(tokens) is tokens
    assert mixing("tokens").of_batch(given) is given


def test_the_loss_is_mixed_and_for_cross_entropy_that_is_the_loss_of_the_mixed_target():
    made = head()
    prediction = made(Tokens.vector(torch.randn(3, 4)))
    target = torch.tensor([0.0, 2.0, 1.0])
    loss = partial(made.loss, prediction)
    mixed = of_rows(loss, target, mixing("tokens"))
    torch.testing.assert_close(mixed, SHARE * loss(target) + (1 - SHARE) * loss(target[PARTNER]))
    assert torch.equal(of_rows(loss, target, None), loss(target))
    soft = np.eye(3)[[0, 2, 1]] * SHARE.numpy()[:, None] + np.eye(3)[[2, 0, 1]] * (1 - SHARE.numpy()[:, None])
    log_p = torch.log_softmax(prediction.scores.detach().double(), dim=1).numpy()
    np.testing.assert_allclose(mixed.detach(), -(soft * log_p).sum(axis=1), rtol=1e-5)


def test_a_row_that_is_kept_whole_is_itself():
    made = Mixing(partner=PARTNER, kept=1.0, share=torch.ones(3), where="tokens")
    values = torch.randn(3, 2, 4)
    tokens = {"x": Tokens(values, torch.ones(3, 2, dtype=torch.bool))}
    assert torch.equal(made.of_tokens(tokens)["x"].values, values)
