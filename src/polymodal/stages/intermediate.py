"""Intermediate fusion: encoders, fusion and head are trained together. The default."""

from __future__ import annotations

from typing import ClassVar

from polymodal.config.node import settings
from polymodal.stages._joint import JointStage


@settings
class IntermediateConfig:
    """Settings of `Intermediate`: none."""


class Intermediate(JointStage):
    """Cells -> encoders -> fusion -> head, with one loss: fusion of representations, also called synchronous."""

    Config: ClassVar[type] = IntermediateConfig
