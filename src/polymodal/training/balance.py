"""How sure each input is by itself, and how the ones that are surer wait for the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import torch
from torch.nn import Parameter

from polymodal.config.train import BalanceConfig
from polymodal.models.model import Network


def contributions(confidences: Mapping[str, float]) -> dict[str, float]:
    """Each input's part of the sum of confidences; nothing where there are not at least two, or all are zero.

    >>> contributions({"photo": 0.6, "sound": 0.2})
    {'photo': 0.75, 'sound': 0.25}
    """
    total = math.fsum(confidences.values())
    return (
        {name: round(value / total, 6) for name, value in confidences.items()} if len(confidences) > 1 and total else {}
    )


def coefficients(confidences: Mapping[str, float], alpha: float) -> dict[str, float]:
    """By input, the factor on its encoder's gradient (Peng et al. 2022, arXiv 2203.15332, OGM).

        rho_u = s_u / mean of s_v over the other inputs v
        k_u = 1 - tanh(alpha * rho_u) where rho_u > 1, else 1

    For two inputs that is the paper's ratio; the mean is our extension to more.
    """
    factors = {}
    for name, value in confidences.items():
        others = [of_other for other, of_other in confidences.items() if other != name]
        mean = math.fsum(others) / len(others) if others else math.inf
        ratio = value / mean if mean else math.inf
        factors[name] = 1.0 - math.tanh(alpha * ratio) if value > mean else 1.0
    return factors


class Balance:
    """On-the-fly gradient modulation with generalisation enhancement (OGM-GE, Peng et al. 2022).

    The gradient g of every parameter of input u's encoder becomes k_u * g + noise, where the noise is normal with the
    deviation of g's own elements: the stronger input learns more slowly, and the noise that a smaller gradient lacks,
    which helps to generalise, comes back. Encoders that are frozen, and parameters that several inputs share, stay as
    they are; so do fusion and heads.
    """

    def __init__(self, model: Network, config: BalanceConfig) -> None:
        self.config = config
        owned = {name: list(encoder.parameters()) for name, encoder in model.encoders.items()}
        owners = Counter(parameter for parameters in owned.values() for parameter in set(parameters))
        self.parameters: dict[str, list[Parameter]] = {
            name: [parameter for parameter in parameters if owners[parameter] == 1 and parameter.requires_grad]
            for name, parameters in owned.items()
        }

    def modulate(self, confidences: Mapping[str, float]) -> None:
        """Changes the gradients, which are those of one update, by how sure each input is."""
        for name, factor in coefficients(confidences, self.config.alpha).items():
            for parameter in self.parameters[name]:
                if (gradient := parameter.grad) is None:
                    continue
                deviation = gradient.std(correction=0)
                gradient.mul_(factor)
                if self.config.noise:
                    gradient.add_(torch.randn_like(gradient) * deviation)
