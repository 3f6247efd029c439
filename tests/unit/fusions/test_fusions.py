"""Each fusion against its formula in NumPy, on inputs combined as they are."""

import re

import numpy as np
import pytest
import torch

from polymodal import registry
from polymodal.cli.main import main
from polymodal.config.run_config import Part, part_settings
from polymodal.errors import ConfigError
from polymodal.types import Tokens

A, B, C = (np.array(row, dtype=np.float32) for row in ([1.0, -2.0, 3.0], [4.0, 0.5, -6.0], [-1.0, 8.0, 2.0]))
NAMES = ("a", "b", "c")


def fuse(name: str, *, present: dict[str, bool], weights: dict[str, float] | None = None) -> Tokens:
    """Two rows: in the first all inputs are present, in the second those that are said to be."""
    settings = {} if weights is None else {"weights": weights}
    config = part_settings("fusions", Part(name=name, project=False, **settings))
    fusion = registry.load("fusions", name)(config, widths=dict.fromkeys(NAMES, 3)).eval()
    tokens = {}
    for key, vector in zip(NAMES, (A, B, C), strict=True):
        values = torch.from_numpy(np.stack([vector, vector]))
        tokens[key] = Tokens.vector(values, torch.tensor([True, present[key]]))
    return fusion(tokens)


EXPECTED = {
    "sum": (A + B + C, A + C),
    "average": ((A + B + C) / 3, (A + C) / 2),
    "weighted": ((A + B + C) / 3, (A + C) / 2),
    "product": (A * B * C, A * C),
    "max": (np.maximum(np.maximum(A, B), C), np.maximum(A, C)),
    "concat": (np.concatenate([A, B, C]), np.concatenate([A, np.zeros(3), C])),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_formula_with_all_inputs_and_without_one(name):
    fused = fuse(name, present={"a": True, "b": False, "c": True})
    np.testing.assert_allclose(fused.values[:, 0].detach(), np.stack(EXPECTED[name]), rtol=1e-6)
    assert fused.present.all()


@pytest.mark.parametrize("name", EXPECTED)
def test_row_with_nothing_present_is_masked_and_finite(name):
    fused = fuse(name, present=dict.fromkeys(NAMES, False))
    assert fused.present.tolist() == [True, False]
    assert torch.isfinite(fused.values).all()


def test_average_takes_given_weights_and_shares_those_of_absent_inputs():
    fused = fuse("average", weights={"a": 3.0, "c": 2.0}, present={"a": True, "b": True, "c": False})
    np.testing.assert_allclose(fused.values[0, 0], (3 * A + B + 2 * C) / 6, rtol=1e-6)
    np.testing.assert_allclose(fused.values[1, 0], (3 * A + B) / 4, rtol=1e-6)


def test_average_refuses_the_weight_of_an_input_that_there_is_not():
    with pytest.raises(ConfigError, match=r"'phot'.*Did you mean 'photo'"):
        fusion = registry.load("fusions", "average")
        fusion(fusion.Config(weights={"phot": 2.0}), widths={"photo": 3})


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_average_refuses_weights_that_are_not_above_zero(weight):
    with pytest.raises(ConfigError, match="weights"):
        part_settings("fusions", Part(name="average", weights={"a": weight}))


def test_weighted_learns_to_prefer_the_input_that_is_right():
    torch.manual_seed(0)
    fusion = registry.load("fusions", "weighted")
    model = fusion(fusion.Config(project=False), widths={"signal": 1, "noise": 1})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(100):
        target = torch.randn(64, 1)
        tokens = {"signal": Tokens.vector(target), "noise": Tokens.vector(torch.randn(64, 1))}
        loss = (model(tokens).values[:, 0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model.weights["signal"] > 0.9
    assert sum(model.weights.values()) == pytest.approx(1)


def test_concat_puts_a_learned_stand_in_where_an_input_is_absent():
    fusion = registry.load("fusions", "concat")
    model = fusion(fusion.Config(width=4), widths={"a": 2, "b": 3})
    torch.nn.init.normal_(model.absent)
    absent = torch.tensor([False])
    fused = model({"a": Tokens.vector(torch.randn(1, 2)), "b": Tokens.vector(torch.randn(1, 3), absent)})
    assert model.width == 8
    assert torch.equal(fused.values[0, 0, 4:], model.absent[1])


@pytest.mark.parametrize("name", registry.names("fusions"))
def test_an_unknown_setting_names_the_nearest(name):
    with pytest.raises(ConfigError, match=r"Did you mean 'width'"):
        part_settings("fusions", Part(name=name, widht=3))


def test_every_fusion_is_listed_with_what_it_says_of_time_and_of_absent_inputs(capsys):
    """The list is read from each part's own file: what a fusion inherits is not seen there."""
    assert main(["list", "fusions"]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(registry.names("fusions"))
    assert all(re.search(r"\.  +(if set|yes|no)  +\S", line) for line in lines)
