"""Image encoder on every image of a cell, then their mean or a weighted average; their order does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import nn

from polymodal.config.node import settings
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.per_image import KIND, SMALL, ImageEncoder, PerImageEncoder, needs_of, portable_of
from polymodal.layers.pooling import masked_mean, masked_softmax
from polymodal.modalities.images import Images
from polymodal.protocols import Encoder
from polymodal.types import Cells, Tokens


@settings
class PerImageConfig:
    """Settings of `PerImage`.

    Attributes:
        image: the image encoder that every picture goes through, with its settings; without a name a small `cnn`.
        pool: `mean`, or `attention`: a mean with learned weights, so that telling pictures count for more.
    """

    image: ImageEncoder = SMALL
    pool: Literal["mean", "attention"] = "mean"


class PerImage(EncoderModule[PerImageConfig]):
    """Lists of pictures UInt8 "N P 3 H W" -> one token.

    With `attention` the weights are the softmax of w tanh(V h) over a cell's pictures (Ilse et al. 2018, arXiv
    1802.04712, equation 8).
    """

    Config: ClassVar[type] = PerImageConfig
    submodules: ClassVar[Mapping[str, str]] = {"image": KIND}

    def __init__(self, config: PerImageConfig, modality: Images, *, image: Encoder) -> None:
        super().__init__(config)
        self.pictures = PerImageEncoder(image)
        self.width = image.width
        self.frozen = image.frozen and config.pool == "mean"
        attends = config.pool == "attention"
        # No bias behind the tanh: the softmax would take it away again.
        self.scores = nn.Sequential(
            nn.Linear(image.width, 64), nn.Tanh(), nn.Linear(64, 1, bias=False)
        ) if attends else None  # fmt: skip

    @classmethod
    def needs(cls, config: PerImageConfig) -> dict[str, Any]:
        """What the image encoder needs."""
        return needs_of(config.image)

    @property
    def portable(self) -> dict[str, Any]:
        return {**super().portable, "image": portable_of(self.config.image, self.pictures.image)}

    def forward(self, cells: Cells) -> Tokens:
        values, mask = self.pictures(cells)
        if self.scores is None:
            return Tokens.vector(masked_mean(values, mask), cells.present)
        weights = masked_softmax(self.scores(values).squeeze(-1), mask)
        return Tokens.vector((weights.unsqueeze(-1) * values).sum(dim=1), cells.present)
