from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict
from torch import nn

from polymodal.layers.encoder import EncoderModule
from polymodal.modalities.vector import Vector
from polymodal.testing import check_encoder
from polymodal.types import Cells, Tokens


@dataclass(frozen=True)
class PlainConfig:
    """Settings of `Plain`.

    Attributes:
        width: of the token.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    width: int = 3


class Plain(EncoderModule[PlainConfig]):
    """One linear layer, and nothing that an encoder need not say."""

    Config: ClassVar[type] = PlainConfig

    def __init__(self, config: PlainConfig, modality: Vector) -> None:
        super().__init__(config)
        self.width = config.width
        self.linear = nn.Linear(modality.length, config.width)

    def forward(self, cells: Cells) -> Tokens:
        return Tokens.vector(self.linear(cells.values), cells.present)


def test_an_encoder_that_says_no_more_than_it_must_keeps_the_contract():
    check_encoder(Plain, "vector", settings={"width": 4})


def test_it_learns_needs_nothing_and_can_be_built_from_all_of_its_settings():
    vector = Vector(Vector.Config(), None)
    encoder = Plain(PlainConfig(width=5), Vector(vector.config, vector.fit([vector.read([1.0, 2.0])] * 3)))
    assert Plain.needs(encoder.config) == {}
    assert encoder.portable == {"width": 5}
    assert (encoder.frozen, encoder.keeps_time, encoder.token_span) == (False, False, None)
    assert list(encoder.state_dict()) == ["linear.weight", "linear.bias"]
