"""What weights of layers have to keep to: a largest norm, and being nearly orthonormal."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn.modules.conv import _ConvNd


def matrices(model: nn.Module) -> list[Parameter]:
    """Weights of linear and convolutional layers that learn; axis 0 is that of the units."""
    layers = (module for module in model.modules() if isinstance(module, nn.Linear | _ConvNd))
    return _learned(weight for layer in layers for name, weight in layer.named_parameters() if name == "weight")


def incoming(model: nn.Module) -> list[Parameter]:
    """`matrices`, and those of recurrent layers, whose units are gates."""
    recurrent = (module for module in model.modules() if isinstance(module, nn.RNNBase))
    theirs = (p for module in recurrent for name, p in module.named_parameters() if name.startswith("weight"))
    return _learned([*matrices(model), *theirs])


@torch.no_grad()
def limit_norms(weights: list[Parameter], max_norm: float) -> None:
    """Scales the weights that enter a unit down to the norm, where theirs is larger.

    Srivastava et al. 2014 (Dropout, JMLR 15, section 5.1): a projection on the ball of that radius after every update.
    """
    for weight in weights:
        factors = (max_norm / weight.flatten(1).norm(dim=1)).clamp(max=1.0)
        weight.mul_(factors.view(-1, *(1,) * (weight.ndim - 1)))


def orthogonality(weights: list[Parameter]) -> Float[Tensor, ""]:
    """Sum over the matrices W [units, inputs] of ||W W^T - I||_F^2; a kernel of a convolution is a row.

    Soft orthogonality (Bansal, Chen & Wang 2018, arXiv 1810.09102, section 3.1). Where there are more units than
    inputs, their rows cannot all be orthogonal, and the columns are pulled towards it: ||W^T W - I||_F^2.
    """
    total = torch.zeros((), device=weights[0].device if weights else None)
    for weight in weights:
        rows = weight.flatten(1)
        gram = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
        total = total + (gram - torch.eye(len(gram), device=gram.device, dtype=gram.dtype)).square().sum()
    return total


def _learned(weights: Iterable[Parameter]) -> list[Parameter]:
    """Those that learn, each once though several layers may share it."""
    return list(dict.fromkeys(weight for weight in weights if weight.requires_grad))
