"""A module whose buffers get their shapes when something is fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Fitted(nn.Module):
    """Holds what was fitted outside of PyTorch in its buffers, and is saved with it."""

    def put(self, **arrays: Any) -> None:
        """Takes over arrays by the names of the buffers, whatever their shapes are; types and devices stay."""
        for name, array in arrays.items():
            setattr(self, name, torch.as_tensor(np.asarray(array)).to(getattr(self, name)))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Takes tensors of any shape: how large they are, the fitting decided."""
        for name, buffer in self.named_buffers(recurse=False):
            saved = state_dict.get(prefix + name)
            if isinstance(saved, Tensor) and saved.ndim == buffer.ndim:
                setattr(self, name, saved.new_empty(saved.shape).to(buffer))
        super()._load_from_state_dict(state_dict, prefix, *rest)
