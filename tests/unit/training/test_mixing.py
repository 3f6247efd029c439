"""Mixtures against float64 NumPy, row by row."""

from functools import partial

import numpy as np
import pytest
import torch
from toys import (
    Arrays,
    Flat,
    Through,
    assemble,
    coefficients_of,
    make_head,
    make_model,
    make_plan,
    make_stepper,
    make_target,
    with_heads,
)

from polymodal.config.train import MixupConfig
from polymodal.errors import ConfigError
from polymodal.models.model import Network
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.training.loop import fit
from polymodal.training.mixing import Mixing, draw_mixing, draw_partners, of_rows
from polymodal.training.objective import Objective
from polymodal.types import Batch, Cells, Tokens

PARTNER = torch.tensor([1, 0, 2])
SHARE = torch.tensor([0.3, 0.9, 0.5])
RNG = np.random.default_rng(0)
X, Y, W = RNG.normal(size=(8, 3)), RNG.normal(size=8), RNG.uniform(0.2, 3.0, size=8)
TOKENS, INPUTS = MixupConfig(alpha=0.4), MixupConfig(alpha=0.4, where="inputs")


def mixing(where: str, kept: float = 0.3) -> Mixing:
    return Mixing(partner=PARTNER, kept=kept, share=SHARE, where=where)


def batch_of(**cells: Cells) -> Batch:
    return Batch(cells, rows=torch.arange(3), encoded={})


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
    mixed = mixing("inputs").of_batch(batch_of(s=sound, p=picture)).cells
    np.testing.assert_allclose(mixed["s"].values, [[0.65, 0.3, 0.3], [0.85, 0.7, 0.7], [0, 0, 0]], rtol=1e-6)
    assert mixed["s"].lengths.tolist() == [3, 3, 0]
    assert mixed["p"].values.dtype == torch.uint8
    assert mixed["p"].values.flatten().tolist() == [178, 77, 76, 179, 7, 9]  # 178.5 is rounded to even


def test_each_kind_of_mixing_leaves_the_other_alone():
    tokens = {"x": Tokens.vector(torch.randn(3, 4))}
    given = batch_of(x=Cells(torch.randn(3, 2), torch.ones(3).long()))
    assert mixing("inputs").of_tokens(tokens) is tokens
    assert mixing("tokens").of_batch(given) is given


def test_the_loss_is_mixed_and_for_cross_entropy_that_is_the_loss_of_the_mixed_target():
    config = ClassifyConfig(dropout=0.0, label_smoothing=0.0)
    task = Classify(config, Classify(config).fit(["a", "b", "c"], column="y"))
    torch.manual_seed(0)
    head = task.head({"": 4})
    scores = head({"": Tokens.vector(torch.randn(3, 4))})
    target = task.collate([task.encode(value) for value in ("a", "c", "b")])
    loss = partial(head.loss, scores)
    mixed = of_rows(loss, target, mixing("tokens"))
    partners = task.collate([task.encode(value) for value in ("c", "a", "b")])
    torch.testing.assert_close(mixed, SHARE * loss(target) + (1 - SHARE) * loss(partners))
    assert torch.equal(of_rows(loss, target, None), loss(target))
    soft = np.eye(3)[[0, 2, 1]] * SHARE.numpy()[:, None] + np.eye(3)[[2, 0, 1]] * (1 - SHARE.numpy()[:, None])
    log_p = torch.log_softmax(scores.values.detach().double(), dim=1).numpy()
    np.testing.assert_allclose(mixed.detach(), -(soft * log_p).sum(axis=1), rtol=1e-5)


def test_a_row_that_is_kept_whole_is_itself():
    made = Mixing(partner=PARTNER, kept=1.0, share=torch.ones(3), where="tokens")
    values = torch.randn(3, 2, 4)
    tokens = {"x": Tokens(values, torch.ones(3, 2, dtype=torch.bool))}
    assert torch.equal(made.of_tokens(tokens)["x"].values, values)


def batch(weight=None) -> Batch:
    return next(iter(Arrays({"x": X}, Y, weight=weight).epoch(1)))


def draw(given: Batch, weights=None, config: MixupConfig = TOKENS, model: Network | None = None):
    weights = torch.ones(len(given)) if weights is None else weights
    return draw_mixing(given, weights, model=model or make_model(), config=config)


def test_partners_are_a_random_order_among_rows_that_hold_the_same():
    present = torch.rand(200, 2) < 0.5
    partner = draw_partners(present)
    assert sorted(partner.tolist()) == list(range(200))
    assert torch.equal(present[partner], present)
    assert (partner != torch.arange(200)).sum() > 150


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_what_is_kept_is_drawn_from_beta(alpha):
    torch.manual_seed(0)
    given, model, config = batch(), make_model(), MixupConfig(alpha=alpha)
    kept = np.array([draw(given, model=model, config=config)[0].kept for _ in range(1000)])
    assert kept.mean() == pytest.approx(0.5, abs=0.05)
    assert kept.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), abs=0.015)


def test_every_row_counts_as_much_as_before_and_one_of_weight_zero_not_at_all():
    weights = torch.tensor([0.0, 1.0, 2.0, 0.0, 3.0, 0.5, 0.0, 1.0])
    mixing, mixed = draw(batch(), weights)
    counted = torch.zeros(8).index_add(0, torch.arange(8), mixed * mixing.share)
    counted = counted.index_add(0, mixing.partner, mixed * (1 - mixing.share))
    torch.testing.assert_close(counted, weights)
    assert mixing.share.isfinite().all()


@pytest.mark.parametrize("config", [TOKENS, INPUTS], ids=["tokens", "inputs"])
@pytest.mark.parametrize("weight", [None, W], ids=["unweighted", "weighted"])
def test_an_update_is_that_of_the_mixed_rows_with_both_losses(monkeypatch, config, weight):
    drawn = []

    def watched(*args, **settings):
        drawn.append(draw_mixing(*args, **settings))
        return drawn[-1]

    monkeypatch.setattr("polymodal.training.step.draw_mixing", watched)
    model = make_model()
    make_stepper(model, mixup=config).update([batch(weight)])
    ((mixing, _),) = drawn
    p, kept, w = mixing.partner.numpy(), mixing.kept, np.ones(8) if weight is None else weight
    design = np.column_stack([kept * X + (1 - kept) * X[p], np.ones(8)])
    pull = kept * w * -Y + (1 - kept) * w[p] * -Y[p]  # at theta = 0
    gradient = 2 * (design * pull[:, None]).sum(axis=0) / w.sum()
    np.testing.assert_allclose(coefficients_of(model), -0.1 * gradient, atol=1e-6)


def test_rows_that_lack_an_input_are_mixed_with_others_that_lack_it():
    sparse = X.copy()
    sparse[::2] = np.nan
    given = next(iter(Arrays({"x": sparse, "z": X}, Y).epoch(1)))
    model = assemble({"a": Through(), "b": Through()}, {"a": ("x",), "b": ("z",)}, Flat(6), make_head(6))
    for config in (TOKENS, INPUTS):
        mixing, _ = draw(given, config=config, model=model)
        assert (mixing.partner % 2 == torch.arange(8) % 2).all()


def test_tokens_of_frozen_encoders_are_mixed_too_but_not_their_cells():
    encoded = {"x": Tokens.vector(torch.randn(8, 3), torch.arange(8) < 5)}
    given = Batch({}, rows=torch.arange(8), encoded=encoded, target=make_target(torch.zeros(8)))
    mixing, _ = draw(given)
    assert ((mixing.partner < 5) == (torch.arange(8) < 5)).all()
    both = Batch(batch().cells, rows=torch.arange(8), encoded=encoded)
    with pytest.raises(ConfigError, match=r"train.mixup.where: inputs: the encoder of 'x' is frozen.*where=tokens"):
        draw(both, config=INPUTS)


def test_words_cannot_be_mixed_and_that_is_said():
    words = Batch({"review": Cells(torch.ones(8, 4).long(), torch.ones(8).long())}, rows=torch.arange(8), encoded={})
    with pytest.raises(ConfigError, match=r"column 'review' holds words or categories.*where=tokens"):
        draw(words, config=INPUTS)


def test_the_log_gives_no_metric_of_rows_that_nobody_has_seen():
    rows = Arrays({"x": X}, Y)
    assert fit(Objective(make_model()), rows, None, plan=make_plan(mixup=TOKENS)).epochs[0].metric is None
    assert fit(Objective(make_model()), rows, None, plan=make_plan()).epochs[0].metric is not None


def test_unimodal_heads_learn_from_the_same_mixtures():
    model = assemble({"x": Through()}, {"x": ("x",)}, Flat(1), make_head(1))
    objective = Objective(with_heads(model, {"x": make_head(1)}), auxiliary_loss=1.0)
    given = next(iter(Arrays({"x": X[:, :1]}, Y).epoch(1)))
    mixing, _ = draw(given, model=model)
    losses = objective(given, mixing=mixing)
    y = torch.tensor(Y, dtype=torch.float32)
    mixed = mixing.share * y**2 + (1 - mixing.share) * y[mixing.partner] ** 2
    confidences = mixing.share * torch.exp(-(y**2)) + (1 - mixing.share) * torch.exp(-(y[mixing.partner] ** 2))
    torch.testing.assert_close(losses.confidence["x"], confidences)
    torch.testing.assert_close(losses.values, 2 * mixed)
    assert losses.prediction is None  # of rows that nobody has seen
