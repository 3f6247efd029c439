import numpy as np
import pytest
import torch
from torchvision.models.inception import Inception3

from polymodal.encoders.image.inception import Inception
from polymodal.errors import ConfigError
from polymodal.layers.normalisation import group_norm
from polymodal.modalities.image import Image
from polymodal.types import Cells


def pictures(size: int) -> Cells:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(2)]
    return Image(Image.Config(size=size)).collate(arrays)


def test_is_torchvisions_network_with_another_norm():
    encoder = Inception(Inception.Config(size=107, spatial_tokens=True), Image(Image.Config(size=107))).eval()
    twin = Inception3(aux_logits=False, init_weights=False)
    for name, module in list(twin.named_modules()):
        if name.endswith(".bn"):
            twin.get_submodule(name.removesuffix(".bn")).bn = group_norm(module.num_features)
    weights = [*encoder.features.state_dict().values(), *twin.fc.parameters()]
    twin.load_state_dict(dict(zip(twin.state_dict(), weights, strict=True)))
    seen = []
    twin.Mixed_7c.register_forward_hook(lambda module, inputs, output: seen.append(output))
    cells = pictures(107)
    with torch.no_grad():
        twin.eval()((cells.values / 255 - 0.5) / 0.25)
        expected = encoder.project(seen[0].permute(0, 2, 3, 1).flatten(1, 2))
        tokens = encoder(cells)
    assert tokens.values.shape == (2, 4, 128)
    assert encoder.token_span == 32
    torch.testing.assert_close(tokens.values, expected, rtol=1e-4, atol=1e-5)


def test_asks_for_its_size_and_refuses_pictures_that_would_vanish():
    assert Inception.needs(Inception.Config(size=96)) == {"size": 96}
    with pytest.raises(ConfigError, match=r"at least 75 pixels a side; the column's size is 64"):
        Inception(Inception.Config(), Image(Image.Config(size=64)))


def test_takes_the_smallest_pictures():
    encoder = Inception(Inception.Config(size=75, width=6), Image(Image.Config(size=75)))
    assert encoder(pictures(75)).values.shape == (2, 1, 6)
