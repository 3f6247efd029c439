import torch
from torch import nn

from polymodal.layers.by_name import ByName

AWKWARD = ["type", "keys", "a.b", "training", "", "float", "forward", "parts"]


def test_any_column_name_is_a_name():
    modules = ByName({name: nn.Linear(1, 1) for name in AWKWARD})
    assert list(modules) == sorted(AWKWARD)
    assert len(list(modules.parameters())) == 2 * len(AWKWARD)
    assert all(isinstance(modules[name], nn.Linear) for name in AWKWARD)


def test_parameters_follow_the_names_not_the_order_given():
    first = {"b": nn.Linear(1, 1), "a": nn.Linear(2, 1)}
    second = dict(reversed([(name, nn.Linear(module.in_features, 1)) for name, module in first.items()]))
    ByName(second).load_state_dict(ByName(first).state_dict())
    assert torch.equal(first["a"].weight, second["a"].weight)
