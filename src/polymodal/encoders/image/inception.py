"""Inception v3 for pictures (Szegedy et al. 2016), trained from scratch, with GroupNorm instead of BatchNorm."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveInt
from torch import nn

from polymodal.config.node import settings
from polymodal.errors import ConfigError
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.normalisation import PixelNorm, group_norm
from polymodal.modalities.image import Image
from polymodal.types import Cells, Tokens

_STRIDE = 32  # pixels between two cells of the last feature map
_SMALLEST = 75  # side in pixels of a picture that leaves one cell of it: its convolutions pad little
_CLASSIFIER = ("avgpool", "dropout", "fc")


@settings
class InceptionConfig:
    """Settings of `Inception`.

    Attributes:
        size: side of the pictures in pixels, at least 75; the authors took 299.
        width: of the tokens.
        spatial_tokens: a token for each cell of the last feature map (32 pixels), row by row, instead of their mean.
        dropout: probability, before the last layer.
    """

    size: Annotated[int, Field(ge=_SMALLEST)] = 128
    width: PositiveInt = 128
    spatial_tokens: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Inception(EncoderModule[InceptionConfig]):
    """Pictures UInt8 "N 3 H W" -> one token, or one for each 32 x 32 pixels.

    The network of torchvision, without its auxiliary classifier. GroupNorm (Wu & He 2018) keeps rows of a batch
    independent, where BatchNorm would mix them.

    Raises:
        ConfigError: the pictures are smaller than 75 pixels.
    """

    Config: ClassVar[type] = InceptionConfig

    def __init__(self, config: InceptionConfig, modality: Image) -> None:
        super().__init__(config)
        from torchvision.models.inception import Inception3

        if modality.size < _SMALLEST:  # the user's own setting of the column goes before `needs`
            raise ConfigError(
                f"Image encoder 'inception' takes pictures of at least {_SMALLEST} pixels a side; the column's size is "
                f"{modality.size}. Leave its size unset, or raise it."
            )
        self.width = config.width
        self.token_span = float(_STRIDE) if config.spatial_tokens else None
        # torchvision's own first weights take longer to draw; the norm after every convolution takes their scale away.
        network = Inception3(aux_logits=False, init_weights=False)
        layers = [layer for name, layer in network.named_children() if name not in _CLASSIFIER]
        self.features = nn.Sequential(PixelNorm(), *layers)
        _replace_batch_norm(self.features)
        self.project = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(network.fc.in_features, config.width))

    @classmethod
    def needs(cls, config: InceptionConfig) -> dict[str, Any]:
        """Pictures of at least 75 pixels a side: smaller ones are enlarged."""
        return {"size": config.size}

    def forward(self, cells: Cells) -> Tokens:
        places = self.features(cells.values).flatten(2).transpose(1, 2)  # N, H * W, C
        if not self.config.spatial_tokens:
            places = places.mean(dim=1, keepdim=True)
        mask = cells.present.unsqueeze(1).expand(-1, places.shape[1])
        return Tokens(self.project(places), mask)


def _replace_batch_norm(module: nn.Module) -> None:
    """GroupNorm in the place of every BatchNorm inside of a module; torchvision takes no other norm here."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, group_norm(child.num_features))
        else:
            _replace_batch_norm(child)
