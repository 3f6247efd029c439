"""What several sources say, as one: the linear opinion pool, the weighted mean of their probabilities."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from polymodal.types import Meaning


def pool(scores: Float[Tensor, "M B K"], weights: Float[Tensor, "M B"], meaning: Meaning) -> Float[Tensor, "B K"]:
    """Scores of the weighted mean of what M sources predict; the weights of a row sum to one."""
    if meaning == "classes":
        return pool_classes(scores, weights)
    if meaning == "labels":
        return pool_labels(scores, weights)
    return (scores * weights.unsqueeze(-1)).sum(dim=0)


def pool_classes(scores: Float[Tensor, "M B K"], weights: Float[Tensor, "M B"]) -> Float[Tensor, "B K"]:
    """Logarithms of the weighted means of M softmax distributions; the weights of a row sum to one."""
    return torch.logsumexp(F.log_softmax(scores, dim=-1) + weights.log().unsqueeze(-1), dim=0)


def pool_labels(scores: Float[Tensor, "M B K"], weights: Float[Tensor, "M B"]) -> Float[Tensor, "B K"]:
    """Log odds of the weighted means of M probabilities, label by label; the weights of a row sum to one."""
    shares = weights.log().unsqueeze(-1)
    yes, no = (torch.logsumexp(F.logsigmoid(side) + shares, dim=0) for side in (scores, -scores))
    return yes - no
