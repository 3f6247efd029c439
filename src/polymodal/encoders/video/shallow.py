"""Clips nearly raw: a linear layer on each square of all frames, for a joint encoder to read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, PositiveInt
from torch import nn

from polymodal.layers.patches import Patches, PatchesOfEach
from polymodal.modalities.video import Video
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class ShallowConfig:
    """Settings of `Shallow`.

    Attributes:
        width: of the tokens, even.
        patch: side of a square, in pixels; small ones make many tokens.
        dropout: probability, on the tokens.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: Annotated[int, Field(ge=2, multiple_of=2)] = 128
    patch: PositiveInt = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Shallow(nn.Module):
    """Clips UInt8 "N T 3 H W" -> a token for each square of each of the frames; squares do not see each other."""

    Config: ClassVar[type] = ShallowConfig
    token_span: float | None = None
    frozen = False

    def __init__(self, config: ShallowConfig, modality: Video) -> None:  # noqa: ARG002
        super().__init__()
        self.config = config
        self.width = config.width
        patches = Patches(config.patch, config.width, dropout=config.dropout)
        self.each = PatchesOfEach(patches, config.width, ordered=True)

    @classmethod
    def needs(cls, config: ShallowConfig) -> dict[str, Any]:  # noqa: ARG003
        """Takes pictures of any size."""
        return {}

    @property
    def portable(self) -> dict[str, Any]:
        return asdict(self.config)

    def forward(self, cells: Cells) -> Tokens:
        tokens: Tokens = self.each(cells)
        return tokens
