"""What an input says by itself, and how several such opinions become one: the rules of late fusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.model import Model
from polymodal.types import Batch, Cells, Encoder, Head, Prediction, Scores, Tokens

_TINY = 1e-30  # instead of a probability of zero, whose logarithm is infinite
_FARTHEST = 10.0  # opinions of a stack are cut there: one that is sure and wrong must not outweigh all others


@dataclass(frozen=True)
class Rule:
    """How opinions are combined.

    Attributes:
        form: what is combined: `probability`; its logarithm (`log`); `gain`: the logarithm less that of the prior.
        fusion: which fusion combines them.
    """

    form: Literal["probability", "log", "gain"]
    fusion: str


RULES: Mapping[str, Rule] = {
    "average": Rule("probability", "average"),
    "weighted": Rule("probability", "weighted"),
    "max": Rule("probability", "max"),
    "product": Rule("log", "sum"),  # in logarithms, where nothing underflows
    "sum": Rule("gain", "sum"),
}
"""By the name of the fusion; other fusions are stacked: a head learns from what they make of the opinions."""

RULES_OF_NUMBERS = ("average", "weighted")


def without_layers(head: Head) -> Head:
    """The head as one that takes its scores as they come: what enters it is what it predicts.

    It still knows the loss, the metrics, the words and the prior of its task, but holds nothing that learns.
    """
    head.readout = AsTheyCome()
    return head


class AsTheyCome(nn.Module):
    """Scores "B K" that came as one token a row."""

    def forward(self, tokens: Tokens) -> Float[Tensor, "B K"]:
        return tokens.values[:, 0].float()


class Branch(nn.Module):
    """One input's encoder with a head of its own: cells -> the scores of the task, as one token.

    Args:
        encoder: of the input.
        head: what predicts from its tokens: a head, or what a scikit-learn model has become.
        num_scores: K, how many scores the task has.

    Attributes:
        heard: whether it has learned anything; one that has not says nothing.
    """

    Config: ClassVar[type] = type(None)  # assembled, not built from settings
    heard: Tensor
    token_span: float | None = None
    frozen = False  # its encoder may be

    def __init__(self, encoder: Encoder, head: nn.Module, *, num_scores: int) -> None:
        super().__init__()
        self.encoder = cast(nn.Module, encoder)
        self.head = head
        self.width = num_scores
        self.register_buffer("heard", torch.tensor(False))

    @classmethod
    def needs(cls, config: None) -> dict[str, object]:
        """Nothing; its encoder may."""
        return {}

    @property
    def portable(self) -> dict[str, object]:
        """Those of the encoder."""
        return cast(Encoder, self.encoder).portable

    def forward(self, *cells: Cells) -> Tokens:
        return self.judge(self.encoder(*cells))

    def judge(self, tokens: Tokens) -> Tokens:
        """The scores for tokens of the encoder."""
        prediction: Prediction = self.head(tokens)
        return Tokens.vector(prediction.scores, tokens.present & self.heard)


class Decisions(Model):
    """A model whose encoders are branches: what is fused are decisions."""

    def encode(self, name: str, batch: Batch) -> Tokens:
        """The scores of one input; where its encoder has run before, from the tokens that it gave."""
        if name in batch.encoded:
            return cast(Branch, self.encoders[name]).judge(batch.encoded[name])
        return super().encode(name, batch)


class Alone(nn.Module):
    """The tokens of the only input."""

    Config: ClassVar[type] = type(None)  # assembled, not built from settings
    keeps_time = True

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        (only,) = tokens.values()
        return only


class Combination(nn.Module):
    """Opinions "B 1 K" of the inputs -> one opinion "B 1 K", by a rule; its result enters a head without layers.

    With p_i what input i says of a class, p_0 the prior, and i over the inputs that are present:

        average   mean of p_i             (linear opinion pool, Stone 1961; the sum rule of Kittler et al. 1998, eq. 11)
        weighted  sum of w_i p_i          (linear opinion pool with learned weights that add up to one)
        max       largest p_i             (max rule, Kittler et al. 1998, section 3.2)
        product   product of p_i          (product rule for equal priors, Kittler et al. 1998, eq. 7)
        sum       p_0 * product of p_i / p_0  (product rule with the prior, eq. 7: it counts once, not once an input)

    normalised over the classes. A label of several has two classes, to have it and not to. Numbers are averaged as they
    are, on the standardised scale.

    Args:
        rule: what to combine, and by which fusion.
        fusion: that fusion, which takes the opinions as they are.
        head: of the task: says what scores are, and the prior.
    """

    Config: ClassVar[type] = type(None)  # assembled, not built from settings
    keeps_time = False
    prior: Tensor

    def __init__(self, rule: Rule, fusion: nn.Module, head: Head) -> None:
        super().__init__()
        self.rule, self.fusion, self.scores = rule, fusion, head.scores
        self.width = len(head.prior)
        prior = logarithms(head.prior[None], self.scores)[0]
        self.register_buffer("prior", prior, persistent=False)  # the target's statistics hold it

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        fused: Tokens = self.fusion({name: self._form(of_input) for name, of_input in tokens.items()})
        return Tokens.vector(self._scores(fused.values[:, 0]), fused.present)

    @property
    def width_inside(self) -> int:
        """D of what is combined."""
        return int(self.prior.shape[0])

    def _form(self, opinion: Tokens) -> Tokens:
        values = logarithms(opinion.values[:, 0], self.scores)
        if self.scores != "numbers" and self.rule.form == "probability":
            values = values.exp()
        elif self.rule.form == "gain":
            values = values - self.prior
        return Tokens(values.unsqueeze(1), opinion.mask)

    def _scores(self, fused: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        if self.scores == "numbers":
            return fused
        if self.rule.form == "probability":
            fused = fused.clamp_min(_TINY).log()
        elif self.rule.form == "gain":
            fused = fused + self.prior
        if self.scores == "classes":
            return F.log_softmax(fused, dim=1)
        having, not_having = fused.chunk(2, dim=1)
        return having - not_having


class Stack(nn.Module):
    """Opinions "B 1 K" of the inputs -> what a fusion makes of them, for a head to learn from.

    Stacked generalisation (Wolpert 1992). Of probabilities what enters is how far the input has moved them from the
    prior, in logarithms.

    Args:
        fusion: any that takes vectors.
        head: of the task: says what scores are, and the prior.
    """

    Config: ClassVar[type] = type(None)  # assembled, not built from settings
    keeps_time = False
    prior: Tensor

    def __init__(self, fusion: nn.Module, head: Head) -> None:
        super().__init__()
        self.fusion, self.scores = fusion, head.scores
        self.width = cast(int, fusion.width)
        self.register_buffer("prior", head.prior.clone(), persistent=False)

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        result: Tokens = self.fusion({name: self._moved(of_input) for name, of_input in tokens.items()})
        return result

    def _moved(self, opinion: Tokens) -> Tokens:
        values = opinion.values
        if self.scores == "classes":
            values = F.log_softmax(values, dim=2) - F.log_softmax(self.prior, dim=0)
        elif self.scores == "labels":
            values = values - self.prior
        return Tokens(values.clamp(-_FARTHEST, _FARTHEST), opinion.mask)


def logarithms(scores: Float[Tensor, "B K"], meaning: Scores) -> Float[Tensor, "B D"]:
    """Log-probabilities: of the classes; of labels, of having each and of not having it; numbers as they are."""
    if meaning == "classes":
        return F.log_softmax(scores, dim=1)
    if meaning == "labels":
        return torch.cat([F.logsigmoid(scores), F.logsigmoid(-scores)], dim=1)
    return scores
