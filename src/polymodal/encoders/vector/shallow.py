"""Vectors nearly raw: one linear layer, for a joint encoder to read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, PositiveInt
from torch import nn

from polymodal.modalities.vector import Vector
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class ShallowConfig:
    """Settings of `Shallow`.

    Attributes:
        width: of the token.
        dropout: probability, on the tokens.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: PositiveInt = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Shallow(nn.Module):
    """Vectors Float "N D", standardised by their modality -> one token."""

    Config: ClassVar[type] = ShallowConfig
    token_span: float | None = None
    keeps_time = False
    frozen = False

    def __init__(self, config: ShallowConfig, modality: Vector) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        self.project = nn.Sequential(
            nn.Linear(modality.length, config.width), nn.LayerNorm(config.width), nn.Dropout(config.dropout)
        )

    @classmethod
    def needs(cls, config: ShallowConfig) -> dict[str, Any]:
        """Takes any length."""
        return {}

    @property
    def portable(self) -> dict[str, Any]:
        return asdict(self.config)

    def forward(self, cells: Cells) -> Tokens:
        return Tokens.vector(self.project(cells.values), cells.present)
