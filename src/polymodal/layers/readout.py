"""The layers of a head: from the tokens of a row to its scores."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from polymodal.layers.mlp import MultiLayerPerceptron
from polymodal.layers.pooling import masked_mean
from polymodal.types import Tokens, full_precision


class Readout(nn.Module):
    """Mean of a row's tokens -> perhaps a hidden layer -> dropout -> a linear layer: tokens "B T D" -> scores "B K".

    Args:
        width: D of the tokens.
        num_scores: K.
        hidden: width of the hidden layer; 0: none.
        dropout: probability, before the linear layer.
        bias: what the scores are where the tokens say nothing ("K"); training starts there. None: no such term.
    """

    def __init__(
        self, width: int, num_scores: int, *, hidden: int, dropout: float, bias: Float[Tensor, " K"] | None
    ) -> None:
        super().__init__()
        self.body = MultiLayerPerceptron(width, [hidden] if hidden else [], activation_name="gelu", dropout=0.0)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(self.body.width, num_scores, bias=bias is not None)
        if bias is not None:
            self.linear.bias.data.copy_(bias)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B K"]:
        pooled = masked_mean(tokens.values, tokens.mask)
        scores: Tensor = self.linear(self.dropout(self.body(pooled)))
        return full_precision(scores)
