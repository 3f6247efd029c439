"""Intermediate fusion: encoders, fusion and head are trained together. The default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from polymodal.stages._joint import JointStage


@dataclass(frozen=True)
class IntermediateConfig:
    """Settings of `Intermediate`: none."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class Intermediate(JointStage):
    """Cells -> encoders -> fusion -> head, with one loss: fusion of representations, also called synchronous."""

    Config: ClassVar[type] = IntermediateConfig
