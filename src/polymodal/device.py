"""Where tensors live and computing happens, chosen by name."""

from __future__ import annotations

import torch

from polymodal.errors import ConfigError, did_you_mean

_KINDS = ("auto", "cpu", "cuda", "mps")


def pick_device(name: str) -> torch.device:
    """The device that a name stands for: `auto` is CUDA where there is one, else MPS, else the CPU.

    Args:
        name: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        ConfigError: no such name, or this machine has no such device.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    kind, colon, number = name.partition(":")
    if kind not in _KINDS or (colon and not (kind == "cuda" and number.isascii() and number.isdecimal())):
        raise ConfigError(
            f"device: no device is called {name!r}.{did_you_mean(name, _KINDS)} Known: {', '.join(_KINDS)}."
        )
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(kind)
    if kind == "cuda" and not torch.cuda.is_available():
        build = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built without CUDA"
        raise ConfigError(
            f"device: {name} is not available: PyTorch {torch.__version__} {build} and finds no usable CUDA device."
            " Use device=auto or device=cpu."
        )
    if kind == "cuda" and int(number or 0) >= (count := torch.cuda.device_count()):
        raise ConfigError(f"device: {name} is not available: there are {count}, cuda:0 to cuda:{count - 1}.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device: mps needs an Apple GPU, and PyTorch finds none here. Use device=auto or device=cpu.")
    return torch.device(name)
