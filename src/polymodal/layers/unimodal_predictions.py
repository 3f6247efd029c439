"""What several sources say, as one: the linear opinion pool, the weighted mean of their probabilities."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from polymodal.types import Meaning


def pool(scores: Float[Tensor, "M B K"], weights: Float[Tensor, "M B"], meaning: Meaning) -> Float[Tensor, "B K"]:
    """Scores of the weighted mean of what M sources predict; the weights of a row sum to one.

    Of classes the logarithms of the mean probabilities, of labels their log odds, label by label.
    """
    if meaning == "numbers":
        return (scores * weights.unsqueeze(-1)).sum(dim=0)
    shares = weights.log().unsqueeze(-1)
    if meaning == "classes":
        return torch.logsumexp(F.log_softmax(scores, dim=-1) + shares, dim=0)
    yes, no = (torch.logsumexp(F.logsigmoid(side) + shares, dim=0) for side in (scores, -scores))
    return yes - no
