import math

import pytest
import torch

from polymodal.layers.positions import LearnedPositions, SinusoidalPositions


@pytest.mark.parametrize("width", [6, 7, 1])
def test_sinusoidal_equals_the_formula(width):
    added = SinusoidalPositions(width)(torch.zeros(2, 300, width))
    for step in (0, 1, 17, 299):
        for place in range(width):
            angle = step / 10_000 ** ((place - place % 2) / width)
            expected = math.cos(angle) if place % 2 else math.sin(angle)
            assert added[1, step, place] == pytest.approx(expected, abs=1e-4)


def test_sinusoidal_is_as_large_as_told():
    added = SinusoidalPositions(64, deviation=0.05)(torch.zeros(1, 500, 64))
    assert float(added.square().mean().sqrt()) == pytest.approx(0.05, rel=1e-3)


def test_learned_adds_a_vector_of_its_own_to_each_place():
    layer = LearnedPositions(4, max_steps=10, deviation=0.5)
    values = torch.randn(2, 3, 4)
    torch.testing.assert_close(layer(values) - values, layer.vectors[:3].expand(2, 3, 4))
    assert 0.3 < float(layer.vectors.detach().std()) < 0.7
