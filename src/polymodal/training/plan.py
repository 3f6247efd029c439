"""How one training goes, everything chosen; mixed precision where the device has it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from polymodal.config.train import TrainConfig
from polymodal.errors import ConfigError
from polymodal.protocols import Task

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Plan:
    """How one training goes, everything chosen.

    Attributes:
        task: fitted; its metrics are measured.
        train: with every None filled in.
        metric: the one of the task's metrics that is watched.
        seed: of all random numbers: those of a step are a function of it and of the step's number.
        epochs: at most so many.
        deadline: after the first, no epoch starts that would end later on the clock.
        clock: seconds, from any start.
    """

    task: Task
    train: TrainConfig
    metric: str
    greater_is_better: bool
    device: torch.device
    precision: Precision
    seed: int
    epochs: int
    deadline: float = math.inf
    clock: Callable[[], float] = time.perf_counter


def pick_precision(name: Literal["auto", "float32", "bfloat16", "float16"], device: torch.device) -> Precision:
    """In which precision the forward pass runs on a device; weights and optimizer stay in float32.

    `auto` is bfloat16 on a CUDA device that computes in it, else float32: bfloat16 is slower than float32 on most CPUs.

    Raises:
        ConfigError: the device cannot train in that precision.
    """
    if name == "auto":
        return "bfloat16" if device.type == "cuda" and _has_bfloat16() else "float32"
    if name == "float16" and device.type != "cuda":
        raise ConfigError(f"train.precision: float16 needs a CUDA device, not {device.type}. Use auto or float32.")
    if name == "bfloat16" and device.type == "mps":
        raise ConfigError("train.precision: bfloat16 is not offered on mps. Use auto or float32.")
    if name == "bfloat16" and device.type == "cuda" and not _has_bfloat16():
        raise ConfigError("train.precision: this CUDA device has no bfloat16. Use auto, float16 or float32.")
    return name


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The context of a forward pass in that precision; changes nothing for float32."""
    return torch.autocast(device.type, dtype=getattr(torch, precision), enabled=precision != "float32")


def _has_bfloat16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
