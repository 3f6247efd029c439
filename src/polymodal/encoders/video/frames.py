"""Image encoder on every frame, with frame-to-frame differences of its features, then pooling over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from polymodal.config.node import settings
from polymodal.errors import ConfigError
from polymodal.layers.encoder import EncoderModule
from polymodal.layers.per_image import KIND, SMALL, ImageEncoder, PerImageEncoder, needs_of, portable_of
from polymodal.layers.pooling import masked_max, masked_mean, zero_masked
from polymodal.layers.positions import SinusoidalPositions
from polymodal.layers.recurrent import Recurrent, RecurrentSettings
from polymodal.layers.transformer import BlockSettings, TransformerStack
from polymodal.modalities.video import Video
from polymodal.protocols import Encoder
from polymodal.types import Cells, Tokens

_HEADS = 4


@settings
class FramesConfig:
    """Settings of `Frames`.

    Attributes:
        image: the image encoder that every frame goes through, with its settings; without a name a small `cnn`.
        motion: a frame's token also holds how its features differ from those of the frame before and of the first.
        pool: how frames see each other: `rnn`: a GRU reads them in both directions; `attention`: each attends to
            all; `mean`: not at all.
        width: of a frame's token: even for `rnn`, a multiple of 4 for `attention`. With `mean` and without motion it is
            that of the image encoder.
        keeps_time: a token for each frame, instead of one with the mean and the largest of each feature over time.
        dropout: probability, inside of `attention`.
    """

    image: ImageEncoder = SMALL
    motion: bool = True
    pool: Literal["mean", "rnn", "attention"] = "mean"
    width: PositiveInt = 128
    keeps_time: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Frames(EncoderModule[FramesConfig]):
    """Clips UInt8 "N T 3 H W" -> a token of the width for each frame, or one of twice the width.

    Raises:
        ConfigError: a width that `rnn` or `attention` cannot divide.
    """

    Config: ClassVar[type] = FramesConfig
    submodules: ClassVar[Mapping[str, str]] = {"image": KIND}

    def __init__(self, config: FramesConfig, modality: Video, *, image: Encoder) -> None:
        super().__init__(config)
        parts = {"mean": 1, "rnn": 2, "attention": _HEADS}[config.pool]
        if config.width % parts:
            raise ConfigError(
                f"Video encoder 'frames': width must be a multiple of {parts} for pool {config.pool};"
                f" got {config.width}."
            )
        self.frames = PerImageEncoder(image)
        passes = config.pool == "mean" and not config.motion  # frames' vectors stay as they are
        seen = image.width * (3 if config.motion else 1)
        self.mix = (
            nn.Identity() if passes else nn.Sequential(nn.LayerNorm(seen), nn.Linear(seen, config.width), nn.GELU())
        )
        self.frozen = image.frozen and passes
        width = image.width if passes else config.width
        self.width = width if config.keeps_time else 2 * width
        self.keeps_time = config.keeps_time
        self.token_span = modality.frame_seconds if config.keeps_time else None
        self.over_time = _over_time(config)

    @classmethod
    def needs(cls, config: FramesConfig) -> dict[str, Any]:
        """What the image encoder needs: frames are its pictures."""
        return needs_of(config.image)

    @classmethod
    def spanning(cls, config: FramesConfig, seconds: float) -> FramesConfig:
        """A token for each frame; how long these last, the column decides."""
        return replace(config, keeps_time=True)

    @property
    def portable(self) -> dict[str, Any]:
        return {**super().portable, "image": portable_of(self.config.image, self.frames.image)}

    def forward(self, cells: Cells) -> Tokens:
        values, mask = self.frames(cells)
        if self.config.motion:
            steps = torch.arange(values.shape[1], device=values.device)
            before = values.index_select(1, (steps - 1).clamp(min=0))
            values = torch.cat([values, values - before, values - values[:, :1]], dim=2)
        values = self.mix(values)
        if self.over_time is not None:
            values = self.over_time(values, mask)
        values = zero_masked(values, mask)
        if self.config.keeps_time:
            return Tokens(values, mask)
        pooled = torch.cat([masked_mean(values, mask), masked_max(values, mask)], dim=1)
        return Tokens.vector(pooled, cells.present)


def _over_time(config: FramesConfig) -> nn.Module | None:
    if config.pool == "rnn":
        return _Reading(config.width)
    return _Attending(config.width, config.dropout) if config.pool == "attention" else None


class _Reading(nn.Module):
    """A GRU reads the frames in both directions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.recurrent = Recurrent(width, RecurrentSettings(width=width))

    def forward(self, values: Float[Tensor, "N T D"], mask: Bool[Tensor, "N T"]) -> Float[Tensor, "N T D"]:
        states: Tensor = self.recurrent(values, mask.sum(dim=1))
        return states


class _Attending(nn.Module):
    """One block of self-attention over frames that know their place."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.places = SinusoidalPositions(width)
        settings = BlockSettings(width=width, layers=1, heads=_HEADS, hidden=2 * width, dropout=dropout)
        self.transformer = TransformerStack(settings)

    def forward(self, values: Float[Tensor, "N T D"], mask: Bool[Tensor, "N T"]) -> Float[Tensor, "N T D"]:
        states: Tensor = self.transformer(self.places(values), mask)
        return states
