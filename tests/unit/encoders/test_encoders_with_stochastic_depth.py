import pytest
import torch

from polymodal.encoders.image.resnet import Resnet, ResnetConfig
from polymodal.layers.stochastic_depth import StochasticDepth
from polymodal.modalities.image import Image, ImageConfig
from polymodal.types import Cells

PICTURES = Cells(torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8), torch.ones(6).long())


def resnet(drop_path: float, depth: int = 18) -> Resnet:
    torch.manual_seed(0)
    return Resnet(ResnetConfig(depth=depth, width=8, dropout=0.0, drop_path=drop_path), Image(ImageConfig()))


@pytest.mark.parametrize(("depth", "blocks"), [(18, 8), (50, 16)])
def test_every_residual_block_of_a_resnet_can_be_left_out_the_last_most_often(depth, blocks):
    left = [module for module in resnet(0.4, depth).modules() if isinstance(module, StochasticDepth)]
    assert [module.probability for module in left] == pytest.approx([0.4 * k / blocks for k in range(1, blocks + 1)])


def test_a_resnet_is_the_same_network_in_eval_mode_and_another_one_while_training():
    plain, deep = resnet(0.0), resnet(0.5)
    deep.load_state_dict(dict(zip(deep.state_dict(), plain.state_dict().values(), strict=True)))
    assert torch.equal(deep.eval()(PICTURES).values, plain.eval()(PICTURES).values)
    assert torch.equal(plain.train()(PICTURES).values, plain.eval()(PICTURES).values)
    first, second = (deep.train()(PICTURES).values for _ in range(2))
    assert not torch.equal(first, second)


def test_without_it_the_names_of_weights_are_torchvisions():
    assert "features.5.0.bn2.weight" in resnet(0.0).state_dict()
    assert not any(isinstance(module, StochasticDepth) for module in resnet(0.0).modules())


def test_a_block_that_is_left_out_hands_its_input_through():
    encoder = resnet(0.0)
    block = encoder.features[5][1]  # after a ReLU, so that the one at its end changes nothing
    block.bn2 = torch.nn.Sequential(block.bn2, StochasticDepth(0.999999))
    maps = torch.rand(2, 64, 4, 4)
    assert torch.equal(block.train()(maps), maps)
