"""What most encoders have alike, so that a new one says only how it differs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from pydantic import Field, PositiveInt
from torch import nn

from polymodal.config.node import settings


@runtime_checkable
class EncoderSettings(Protocol):
    """A dataclass of settings."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@settings
class EmbeddingSettings:
    """Settings of encoders for early fusion; some have more.

    Attributes:
        width: of the tokens.
        dropout: probability, on the tokens.
    """

    width: PositiveInt = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


_Config = TypeVar("_Config", bound=EncoderSettings)


class EncoderModule(nn.Module, Generic[_Config]):
    """A `protocols.Encoder` that learns, works with any settings of its modality, and gives tokens in no order of time.

    Args:
        config: settings of the encoder.
    """

    token_span: float | None = None
    keeps_time: bool = False
    frozen: bool = False
    width: int

    def __init__(self, config: _Config) -> None:
        super().__init__()
        self.config = config

    @classmethod
    def needs(cls, config: _Config) -> dict[str, Any]:
        """Settings of the modality that this encoder depends on: none."""
        return {}

    @property
    def portable(self) -> dict[str, Any]:
        """Settings from which it can be built again: all as they are, where none names a file."""
        return asdict(self.config)
