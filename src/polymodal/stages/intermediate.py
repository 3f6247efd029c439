"""Each input through its own encoder, then their fusion, then the head; all trained together. The usual way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import ConfigDict

from polymodal.config.run_config import RunConfig
from polymodal.models.network import Network
from polymodal.models.stage import FitResult, Fitter, Parts
from polymodal.protocols import Task
from polymodal.stages._joint import joint, learn_jointly


@dataclass(frozen=True)
class IntermediateConfig:
    """Settings of `Intermediate`: none."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class Intermediate:
    """Cells -> encoders -> fusion -> head, with one loss: fusion of representations, also called synchronous."""

    Config: ClassVar[type] = IntermediateConfig
    joint: ClassVar[bool] = True
    shares_encoders: ClassVar[bool] = True

    def __init__(self, config: IntermediateConfig) -> None:
        self.config = config

    def settings_of_fusion(self) -> dict[str, Any]:
        """The fusion's own defaults."""
        return {}

    def encoder(self, name: str, modality: str) -> str | None:
        """The table of defaults knows."""
        return None

    def check(self, config: RunConfig, task: Task, inputs: Sequence[str]) -> None:
        """Every fusion, and every task, makes sense."""

    def assemble(self, parts: Parts) -> Network:
        return joint(parts, parts.fusion)

    def learn(
        self, fitter: Fitter, rows: np.ndarray, validation: np.ndarray, *, before: FitResult | None = None
    ) -> FitResult:
        return learn_jointly(fitter, rows, validation, before)
