"""The head of every task whose predictions are scores: a readout, the prior for absent rows, and a loss."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from polymodal.abilities import Scoring
from polymodal.types import Cells, Scores, Tokens, full_precision


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
