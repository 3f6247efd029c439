import pytest
import torch
from torch import nn

from polymodal.config.train import OptimizerConfig
from polymodal.training.optim import make_optimizer, parameter_groups

NAMES = ["sgd", "adam", "adamw", "adadelta", "rmsprop"]


@pytest.fixture
def model() -> nn.Module:
    parts = {
        "words": nn.Embedding(5, 4),
        "bags": nn.EmbeddingBag(5, 4),
        "conv": nn.Conv2d(3, 4, 3),
        "rnn": nn.GRU(4, 4),
        "norm": nn.LayerNorm(4),
        "linear": nn.Linear(4, 2),
        "frozen": nn.Linear(4, 4).requires_grad_(False),
    }
    return nn.ModuleDict(parts)


def test_only_matrices_that_are_no_embeddings_decay_and_frozen_ones_are_left_out(model):
    names = {parameter: name for name, parameter in model.named_parameters()}
    decays, stays = ({names[p] for p in group["params"]} for group in parameter_groups(model, 0.1))
    assert decays == {"conv.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0", "linear.weight"}
    assert stays == {
        *("words.weight", "bags.weight", "conv.bias", "norm.weight", "norm.bias", "linear.bias"),
        *("rnn.bias_ih_l0", "rnn.bias_hh_l0"),
    }
    assert [group["weight_decay"] for group in parameter_groups(model, 0.1)] == [0.1, 0.0]


def one_step(name: str, *, weight_decay: float = 0.0, gradient: float = 0.5) -> tuple[float, float]:
    """A weight and a bias of 2.0 after one step at rate 0.01."""
    layer = nn.Linear(1, 1)
    optimizer = make_optimizer(layer, OptimizerConfig(name=name, lr=0.01, weight_decay=weight_decay))
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 2.0)
        parameter.grad = torch.full_like(parameter, gradient)
    optimizer.step()
    return layer.weight.item(), layer.bias.item()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sgd", 0.01 * 0.5),
        ("adam", 0.01),  # bias-corrected: m / sqrt(v) = 1 in the first step
        ("adamw", 0.01),
        ("rmsprop", 0.01 * 0.5 / (0.01 * 0.5**2) ** 0.5),  # v = (1 - .99) g^2
        ("adadelta", 0.01 * (1e-6 / (0.1 * 0.5**2 + 1e-6)) ** 0.5 * 0.5),  # Zeiler 2012, algorithm 1, times the rate
    ],
)
def test_first_step_is_the_closed_form(name, change):
    assert one_step(name) == pytest.approx((2.0 - change, 2.0 - change), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_pulls_the_weight_and_not_the_bias(name):
    weight, bias = one_step(name, weight_decay=0.1, gradient=0.0)
    assert weight < 2.0
    assert bias == 2.0


def test_adamw_decays_apart_from_the_gradient_and_sgd_by_it():
    assert one_step("adamw", weight_decay=0.1, gradient=0.0)[0] == pytest.approx(2.0 * (1 - 0.01 * 0.1))
    assert one_step("sgd", weight_decay=0.1, gradient=0.0)[0] == pytest.approx(2.0 - 0.01 * 0.1 * 2.0)


def test_sgd_has_the_momentum_of_the_config():
    optimizer = make_optimizer(nn.Linear(1, 1), OptimizerConfig(name="sgd", lr=0.1, weight_decay=0.0, momentum=0.7))
    assert all(group["momentum"] == 0.7 for group in optimizer.param_groups)


def test_a_module_may_ask_for_another_decay():
    module = nn.Embedding(3, 2)
    module.decay = 60.0
    groups = parameter_groups(nn.ModuleList([module, nn.Linear(2, 2)]), 0.1)
    found = sorted((group["weight_decay"], sum(p.numel() for p in group["params"])) for group in groups)
    assert found == [(0.0, 2), (pytest.approx(0.1), 4), (pytest.approx(6.0), 6)]


def test_a_module_may_ask_for_a_share_of_the_learning_rate():
    module = nn.Linear(2, 2)
    module.lr_scale = 0.1
    groups = parameter_groups(nn.ModuleList([module, nn.Linear(3, 3)]), 0.5)
    found = sorted((g["lr_scale"], g["weight_decay"], sum(p.numel() for p in g["params"])) for g in groups)
    assert found == [(0.1, 0.0, 2), (0.1, 0.5, 4), (1.0, 0.0, 3), (1.0, 0.5, 9)]
