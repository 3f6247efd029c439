"""Several predictions as one: the weighted mean of their log-probabilities, or of their probabilities."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from polymodal.types import Meaning

_TINY = 1e-12  # instead of no weight at all, by which nothing can be divided


def normalised(scores: Float[Tensor, "... K"], meaning: Meaning) -> Float[Tensor, "... K"]:
    """Scores as they are pooled: log-probabilities of classes; log odds of labels and numbers as they are."""
    return F.log_softmax(scores, dim=-1) if meaning == "classes" else scores


def pool(
    values: Float[Tensor, "M B K"], present: Bool[Tensor, "M B"], weights: Float[Tensor, " M"]
) -> Float[Tensor, "B K"]:
    """The weighted mean of the predictions of M members; in each row those that are present share the weight of all.

    The logarithmic opinion pool (Genest & Zidek 1986, "Combining probability distributions", equation 3.11): the
    geometric mean of probabilities, up to a constant. A row without any member gets zeros.
    """
    shares = weights.unsqueeze(1) * present
    shares = shares / shares.sum(dim=0).clamp_min(_TINY)
    return (values * shares.unsqueeze(-1)).sum(dim=0)


def linear_pool(scores: Float[Tensor, "M B K"], weights: Float[Tensor, " M"], meaning: Meaning) -> Float[Tensor, "B K"]:
    """Scores of the weighted mean of M predictions: of probabilities, or of numbers. The weights add up to one.

    The linear opinion pool (Stone 1961, "The opinion pool"): a mixture of distributions.
    """
    if meaning == "numbers":
        return (scores * weights.view(-1, 1, 1)).sum(dim=0)
    shares = weights.log().view(-1, 1, 1)
    if meaning == "classes":
        return (F.log_softmax(scores, dim=-1) + shares).logsumexp(dim=0)
    odds: Tensor = (F.logsigmoid(scores) + shares).logsumexp(dim=0) - (F.logsigmoid(-scores) + shares).logsumexp(dim=0)
    return odds
