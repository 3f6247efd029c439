import sys
from dataclasses import asdict, dataclass

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from polymodal.errors import ConfigError, MissingExtraError
from polymodal.pretrained.adaptation import Train, TrainField, adapt, blocks, merged_state
from polymodal.pretrained.network import Pretrained


@dataclass
class Settings:
    train: Train
    checkpoint: str | None = "folder"


class Small(nn.Module):
    """As transformers builds them: what comes first, a list of layers with a list inside, a last norm."""

    def __init__(self):
        super().__init__()
        self.convolutions = nn.ModuleList([nn.Linear(2, 2)])
        self.layers = nn.ModuleList(nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]) for _ in range(3))
        self.norm = nn.LayerNorm(4)
        self.mask_token = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        for first, second in self.layers:
            x = x + second(first(x))
        return self.norm(x)


def small(train):
    torch.manual_seed(0)
    network = Small()
    adapt(network, train, who="It", layers=blocks, unused=("mask_token",))
    return network


def learning(network):
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def test_frozen_and_full():
    assert learning(small(Train())) == set()
    assert learning(small(Train("full"))) == {name for name, _ in Small().named_parameters()} - {"mask_token"}


def test_layers_are_the_list_with_most_parameters_and_what_follows():
    found = blocks(Small())
    assert [len(names) for names in found] == [4, 4, 6]
    assert found[-1][-2:] == ["norm.weight", "norm.bias"]


def test_top_teaches_the_last_layers_and_what_follows():
    names = learning(small(Train("top", layers=2)))
    assert names == {n for n, _ in Small().named_parameters() if n.startswith(("layers.1.", "layers.2.", "norm."))}


def test_more_layers_than_there_are_is_an_error():
    with pytest.raises(ConfigError, match=r"It: train\.layers is 4, but the network has 3 layers"):
        small(Train("top", layers=4))


def test_an_adapter_adds_alpha_over_rank_times_b_a_and_merges_into_the_weight():
    network = small(Train("lora", rank=2, alpha=6))
    base = Small()
    torch.manual_seed(0)
    base = Small()
    x = torch.randn(5, 4)
    torch.testing.assert_close(network(x), base(x))  # B is zero at first
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".lora_" in name:
                parameter.normal_()
    state = merged_state(network)
    weight = "layers.1.0.weight"
    adapter = network.get_submodule("layers.1.0")
    a, b = (part["default"].weight.detach().double() for part in (adapter.lora_A, adapter.lora_B))
    expected = base.state_dict()[weight].double() + 6 / 2 * b @ a
    torch.testing.assert_close(state[weight].double(), expected)
    base.load_state_dict(state)  # strict: nothing of the adapters is left
    torch.testing.assert_close(base(x), network(x))
    assert not torch.equal(network(x), x)


def test_adapters_alone_learn_and_sit_where_they_are_wanted():
    assert all(".lora_" in name for name in learning(small(Train("lora"))))
    named = learning(small(Train("lora", targets=("0",))))
    assert {name.split(".lora_")[0] for name in named} == {"convolutions.0", *(f"layers.{k}.0" for k in range(3))}
    with pytest.raises(ConfigError, match="the network has no query or value"):
        small(Train("lora", targets=("query", "value")))


def test_without_linear_layers_convolutions_get_adapters():
    network = nn.Sequential(nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 3, groups=4))
    adapt(network, Train("lora", rank=1), who="It", layers=blocks)
    assert {name.split(".lora_")[0] for name in learning(network)} == {"0"}


def test_missing_peft_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"polymodal\[lora\]"):
        small(Train("lora"))


def test_frozen_networks_and_batch_norm_stay_in_eval_mode():
    for train, modes in ((Train("full"), [True, False]), (Train(), [False, False])):
        encoder = Pretrained(Settings(train))
        encoder.adopt(nn.Sequential(nn.Dropout(), nn.BatchNorm2d(2)), who="It")
        assert [module.training for module in encoder.train().network] == modes
        assert encoder.training


@pytest.mark.parametrize(
    ("given", "meant"),
    [(True, Train("full")), (False, Train()), ("lora", Train("lora")), ({"name": "top", "layers": 3}, Train("top", 3))],
)
def test_may_be_written_short(given, meant):
    assert TypeAdapter(TrainField).validate_python(given) == meant


def test_the_rate_is_lower_the_more_learns_unless_said():
    assert Train("full").factor < Train("top").factor < Train("lora").factor < 1
    assert Train("full", lr_scale=0.5).factor == 0.5


def test_a_saved_model_needs_no_adapters():
    for train, saved in ((Train("lora", rank=2), Train()), (Train("top", layers=1), Train("top", layers=1))):
        assert Pretrained(Settings(train)).settings_inside() == {"train": asdict(saved), "checkpoint": None}
