"""The head of every task whose predictions are scores: a readout, the prior for absent rows, and a loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from jaxtyping import Float
from torch import Tensor, nn

from polymodal.abilities import Scoring
from polymodal.layers.mlp import MultiLayerPerceptron
from polymodal.layers.pooling import masked_mean
from polymodal.protocols import Task
from polymodal.types import Cells, Meaning, Scores, Tokens, full_precision


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


class ScoresHead(nn.Module):
    """Fused tokens of the only side -> scores; rows with nothing present get the prior.

    Args:
        readout: tokens "B T D" -> scores "B K"; everything that learns.
        criterion: (Scores, target) -> loss "B".
        prior: "K".
    """

    in_batch = False
    prior: Tensor

    def __init__(self, readout: nn.Module, criterion: nn.Module, prior: Float[Tensor, " K"]) -> None:
        super().__init__()
        self.readout = readout
        self.criterion = criterion
        self.register_buffer("prior", prior.clone(), persistent=False)  # the target's statistics hold it

    @classmethod
    def of(cls, task: Scoring, width: int) -> ScoresHead:
        """The head of a task, with fresh weights for tokens of that width."""
        return cls(task.readout(width), task.criterion(), task.prior)

    def with_readout(self, readout: nn.Module) -> ScoresHead:
        """The same head around another readout."""
        return ScoresHead(readout, self.criterion, self.prior)

    def forward(self, tokens: Mapping[str, Tokens], target: Cells | None = None, progress: float = 1.0) -> Scores:
        (only,) = tokens.values()
        return Scores.with_prior(self.readout(only), only.present, self.prior)

    def loss(self, output: Scores, target: Cells | None) -> Float[Tensor, " B"]:
        """Loss of each row; 0 where the target is unknown."""
        loss: Tensor = self.criterion(output, target)
        return loss

    def predict(self, tokens: Mapping[str, Tokens]) -> Scores:
        """What the loss is computed from is the prediction."""
        scores: Scores = self(tokens)
        return scores


class FirstToken(nn.Module):
    """A readout for scores that come as the first token of each row, where they were computed before."""

    def forward(self, tokens: Tokens) -> Float[Tensor, "B K"]:
        return full_precision(tokens.values[:, 0])


class ScoringTask(Task, Protocol):
    """A task whose heads are a `ScoresHead` inherits from it, and has what `Scoring` asks for.

    Attributes:
        config: settings, `hidden` and `dropout` of a `Readout` among them.
    """

    config: Any
    meaning: Meaning
    prior: Float[Tensor, " K"]
    baseline_rows: ClassVar[int] = 20_000

    def criterion(self) -> nn.Module: ...

    def readout(self, width: int) -> nn.Module:
        """Tokens -> scores, which start from the prior."""
        config = self.config
        return Readout(width, len(self.prior), hidden=config.hidden, dropout=config.dropout, bias=self.prior)

    def head(self, widths: Mapping[str, int]) -> ScoresHead:
        (width,) = widths.values()
        return ScoresHead.of(self, width)
