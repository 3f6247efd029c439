import numpy as np
import pytest
import torch
from toys import Arrays, Flat, Squares, Through, make_model, make_plan

from polymodal.errors import ConfigError
from polymodal.layers.auxiliary import AuxiliaryHeads
from polymodal.model import Model
from polymodal.settings.train import MixupConfig
from polymodal.training.loop import fit
from polymodal.training.mixup import draw_mixing, draw_partners
from polymodal.training.step import Stepper
from polymodal.types import Batch, Cells, Tokens

RNG = np.random.default_rng(0)
X, Y, W = RNG.normal(size=(8, 3)), RNG.normal(size=8), RNG.uniform(0.2, 3.0, size=8)
TOKENS, INPUTS = MixupConfig(alpha=0.4), MixupConfig(alpha=0.4, where="inputs")


def batch(weight=None) -> Batch:
    return next(iter(Arrays({"x": X}, Y, weight=weight).epoch(1)))


def draw(given: Batch, weights=None, config: MixupConfig = TOKENS, model: Model | None = None):
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
def test_an_update_is_that_of_the_mixed_rows_with_both_losses(config, weight):
    model = make_model()
    stepper = Stepper(
        model, make_plan(mixup=config).train, device=torch.device("cpu"), precision="float32", num_steps=1
    )
    given = batch(weight)
    torch.manual_seed(5)
    mixing, _ = draw(given, given.weight, config, model)
    torch.manual_seed(5)
    stepper.update([given])
    p, kept, w = mixing.partner.numpy(), mixing.kept, np.ones(8) if weight is None else weight
    design = np.column_stack([kept * X + (1 - kept) * X[p], np.ones(8)])
    pull = kept * w * -Y + (1 - kept) * w[p] * -Y[p]  # at theta = 0
    gradient = 2 * (design * pull[:, None]).sum(axis=0) / w.sum()
    linear = model.head.linear
    moved = torch.cat([linear.weight.flatten(), linear.bias]).detach().numpy()
    np.testing.assert_allclose(moved, -0.1 * gradient, atol=1e-6)


def test_rows_that_lack_an_input_are_mixed_with_others_that_lack_it():
    sparse = X.copy()
    sparse[::2] = np.nan
    given = next(iter(Arrays({"x": sparse, "z": X}, Y).epoch(1)))
    model = Model({"a": Through(), "b": Through()}, {"a": ("x",), "b": ("z",)}, Flat(6), Squares(6))
    for config in (TOKENS, INPUTS):
        mixing, _ = draw(given, config=config, model=model)
        assert (mixing.partner % 2 == torch.arange(8) % 2).all()


def test_tokens_of_frozen_encoders_are_mixed_too_but_not_their_cells():
    encoded = {"x": Tokens.vector(torch.randn(8, 3), torch.arange(8) < 5)}
    given = Batch({}, rows=torch.arange(8), encoded=encoded, target=torch.zeros(8))
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
    assert fit(make_model(), rows, None, plan=make_plan(mixup=TOKENS)).epochs[0].metric is None
    assert fit(make_model(), rows, None, plan=make_plan()).epochs[0].metric is not None


def test_auxiliary_heads_learn_from_the_same_mixtures():
    heads = {"x": Squares(1)}
    model = Model({"x": Through()}, {"x": ("x",)}, Flat(1), Squares(1), auxiliary=AuxiliaryHeads(heads))
    given = next(iter(Arrays({"x": X[:, :1]}, Y).epoch(1)))
    mixing, _ = draw(given, model=model)
    lesson = model.training_loss(given, given.target, mixing=mixing)
    y = torch.tensor(Y, dtype=torch.float32)
    mixed = mixing.share * y**2 + (1 - mixing.share) * y[mixing.partner] ** 2
    sure = mixing.share * torch.exp(-(y**2)) + (1 - mixing.share) * torch.exp(-(y[mixing.partner] ** 2))
    torch.testing.assert_close(lesson.own["x"], sure)
    torch.testing.assert_close(lesson.loss, 2 * mixed)
