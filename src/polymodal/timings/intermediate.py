"""Each input through its own encoder, then their fusion, then the head; all trained together. The usual way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from pydantic import ConfigDict
from torch import nn

from polymodal.config import RunConfig
from polymodal.model import Model
from polymodal.timing import Learned, Parts, Training
from polymodal.timings._joint import joint, learn_jointly
from polymodal.types import Scores


@dataclass(frozen=True)
class IntermediateConfig:
    """Settings of `Intermediate`: none."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class Intermediate:
    """Cells -> encoders -> fusion -> head, with one loss: fusion of representations, also called synchronous."""

    Config: ClassVar[type] = IntermediateConfig

    def __init__(self, config: IntermediateConfig) -> None:
        self.config = config

    def settings_of_fusion(self) -> dict[str, Any]:
        """The fusion's own defaults."""
        return {}

    def encoder(self, name: str, modality: str) -> str | None:
        """The table of defaults knows."""
        return None

    def check(self, config: RunConfig, scores: Scores, inputs: Sequence[str]) -> None:
        """Every fusion, and every task, makes sense."""

    def assemble(self, parts: Parts) -> Model:
        fusion = parts.fusion(parts.widths)
        return joint(parts, cast(nn.Module, fusion), width=fusion.width)

    def learn(
        self, trainer: Training, rows: np.ndarray, validation: np.ndarray, *, before: Learned | None = None
    ) -> Learned:
        return learn_jointly(trainer, rows, validation, before)
