"""Several pictures nearly raw, a list or the frames of a clip: what their shallow encoders share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, PositiveInt
from torch import nn

from polymodal.layers.patches import Patches, PatchesOfEach
from polymodal.protocols import Modality
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class ShallowPicturesConfig:
    """Settings of `ShallowPictures`.

    Attributes:
        width: of the tokens, even.
        patch: side of a square, in pixels; small ones make many tokens.
        dropout: probability, on the tokens.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: Annotated[int, Field(ge=2, multiple_of=2)] = 128
    patch: PositiveInt = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class ShallowPictures(nn.Module):
    """Pictures UInt8 "N T 3 H W" -> "N (T * P) width": a token for each of P squares; squares do not see each other.

    `ordered` says that the pictures stand in an order: tokens then know which one they come from.
    """

    Config: ClassVar[type] = ShallowPicturesConfig
    ordered: ClassVar[bool]
    token_span: float | None = None
    keeps_time = False
    frozen = False

    def __init__(self, config: ShallowPicturesConfig, modality: Modality) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        patches = Patches(config.patch, config.width, dropout=config.dropout)
        self.each = PatchesOfEach(patches, config.width, ordered=self.ordered)

    @classmethod
    def needs(cls, config: ShallowPicturesConfig) -> dict[str, Any]:
        """Takes pictures of any size."""
        return {}

    @property
    def portable(self) -> dict[str, Any]:
        return asdict(self.config)

    def forward(self, cells: Cells) -> Tokens:
        tokens: Tokens = self.each(cells)
        return tokens
