"""Residual network for pictures (He et al. 2016), trained from scratch, with GroupNorm instead of BatchNorm."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt
from torch import nn

from polymodal.config.node import settings
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.normalisation import PixelNorm, group_norm
from polymodal.layers.stochastic_depth import StochasticDepth, rising
from polymodal.modalities.image import Image
from polymodal.types import Cells, Tokens

_STRIDE = 32  # pixels between two cells of the last feature map, in every ResNet


@settings
class ResnetConfig:
    """Settings of `Resnet`.

    Attributes:
        depth: 18, 34 or 50 layers.
        width: of the tokens.
        spatial_tokens: a token for each cell of the last feature map (32 pixels), row by row, instead of their mean.
        dropout: probability, before the last layer.
        drop_path: probability with which a picture goes without the last residual block while training; it rises to
            that in equal steps, block by block (stochastic depth).
    """

    depth: Literal[18, 34, 50] = 18
    width: PositiveInt = 128
    spatial_tokens: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Resnet(EncoderModule[ResnetConfig]):
    """Pictures UInt8 "N 3 H W" -> one token, or one for each 32 x 32 pixels.

    GroupNorm (Wu & He 2018) keeps rows of a batch independent, where BatchNorm would mix them.
    """

    Config: ClassVar[type] = ResnetConfig

    def __init__(self, config: ResnetConfig, modality: Image) -> None:
        super().__init__(config)
        from torchvision.models import resnet

        self.width = config.width
        self.token_span = float(_STRIDE) if config.spatial_tokens else None
        network = getattr(resnet, f"resnet{config.depth}")(norm_layer=group_norm)
        if config.drop_path:
            _leave_out_blocks(network, config.drop_path)
        self.features = nn.Sequential(PixelNorm(), *list(network.children())[:-2])  # without mean and classifier
        self.project = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(network.fc.in_features, config.width))

    def forward(self, cells: Cells) -> Tokens:
        places = self.features(cells.values).flatten(2).transpose(1, 2)  # N, H * W, C
        if not self.config.spatial_tokens:
            places = places.mean(dim=1, keepdim=True)
        mask = cells.present.unsqueeze(1).expand(-1, places.shape[1])
        return Tokens(self.project(places), mask)


def _leave_out_blocks(network: nn.Module, drop_path: float) -> None:
    """Puts stochastic depth at the end of every residual branch, which is its last norm."""
    from torchvision.models.resnet import BasicBlock, Bottleneck

    blocks = [module for module in network.modules() if isinstance(module, BasicBlock | Bottleneck)]
    for block, probability in zip(blocks, rising(drop_path, len(blocks)), strict=True):
        last = "bn3" if isinstance(block, Bottleneck) else "bn2"
        setattr(block, last, nn.Sequential(getattr(block, last), StochasticDepth(probability)))
