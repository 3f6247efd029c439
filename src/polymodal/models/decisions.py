"""Late fusion: each input predicts by itself, and several such predictions become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from polymodal.layers.by_name import ByName
from polymodal.layers.scores_head import ScoresHead
from polymodal.models.model import Encoders, Model, Tower
from polymodal.protocols import Encoder, Fusion, Head
from polymodal.types import Batch, Meaning, Scores, Tokens

_TINY = 1e-30  # instead of a probability of zero, whose logarithm is infinite
_FARTHEST = 10.0  # predictions of a stack are cut there: one that is certain and wrong must not outweigh all others


class Decisions(Encoders):
    """Batch -> an encoder and a head for each input -> combination of their scores -> head -> Scores.

    Args:
        heads: by input, tokens of the input by the side "" -> scores.
        combination: scores "B 1 K" by input -> tokens for the last head.
        head: of the combination.

    Attributes:
        fitted: "I", in the order of the inputs' names, which of them have learned anything; the others say nothing.
    """

    fitted: Tensor

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        columns: Mapping[str, Sequence[str]],
        heads: Mapping[str, Any],
        combination: Combination | Stack,
        head: ScoresHead,
    ) -> None:
        super().__init__(encoders, columns)
        self.heads = ByName(heads)
        self.combination = combination
        self.head = head
        self.register_buffer("fitted", torch.zeros(len(encoders), dtype=torch.bool))

    def forward(self, batch: Batch) -> Scores:
        return self.combine(self.encode(batch))

    def combine(self, tokens: Mapping[str, Tokens]) -> Scores:
        return self.fuse(self.unimodal(tokens))

    def unimodal(self, tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
        """The scores of each input by itself, as one token; masked where it is absent or has learned nothing."""
        result = {}
        for place, (name, head) in enumerate(self.heads.items()):
            scores: Scores = head({"": tokens[name]})
            result[name] = Tokens.vector(scores.values, scores.present & self.fitted[place])
        return result

    def fuse(self, predictions: Mapping[str, Tokens]) -> Scores:
        """One prediction from those of every input."""
        return self.head.predict({"": self.combination(predictions)})

    def set_fitted(self, name: str, fitted: bool) -> None:
        """Says whether an input has learned anything."""
        self.fitted[self.heads.names.index(name)] = fitted

    def alone(self, name: str, head: Head) -> Model:
        """A model of one input, with a head on its tokens; they share their modules with this network."""
        encoder = self.encoders[name]
        tower = Tower({name: encoder}, {name: self.columns[name]}, Identity(encoder.width, anchor=name))
        return Model({"": tower}, head)


class Identity(nn.Module):
    """A fusion of one input, the anchor: its tokens as they are."""

    Config: ClassVar[type] = type(None)  # assembled, not built from settings
    keeps_time = True

    def __init__(self, width: int, *, anchor: str) -> None:
        super().__init__()
        self.width, self.anchor = width, anchor

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        (only,) = tokens.values()
        return only


@dataclass(frozen=True)
class Rule:
    """How predictions are combined.

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
"""By the name of the fusion; other fusions are stacked: a head learns from what they make of the predictions."""

RULES_OF_NUMBERS = ("average", "weighted")


class Combination(nn.Module):
    """Predictions "B 1 K" of the inputs -> one prediction "B 1 K", by a rule.

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
        fusion: that fusion, for inputs of `combined_width`; it takes the predictions as they are.
    """

    Config: ClassVar[type] = type(None)  # assembled, not built from settings
    keeps_time = False
    prior: Tensor

    def __init__(self, rule: Rule, fusion: Fusion, *, meaning: Meaning, prior: Float[Tensor, " K"]) -> None:
        super().__init__()
        self.rule, self.fusion, self.meaning = rule, fusion, meaning
        self.width = len(prior)
        logarithm = logarithms(prior[None], meaning)[0]
        self.register_buffer("prior", logarithm, persistent=False)  # the target's statistics hold it

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        fused = self.fusion({name: self._form(model_input) for name, model_input in tokens.items()})
        return Tokens.vector(self._scores(fused.values[:, 0]), fused.present)

    def _form(self, prediction: Tokens) -> Tokens:
        values = logarithms(prediction.values[:, 0], self.meaning)
        if self.meaning != "numbers" and self.rule.form == "probability":
            values = values.exp()
        elif self.rule.form == "gain":
            values = values - self.prior
        return Tokens(values.unsqueeze(1), prediction.mask)

    def _scores(self, fused: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        if self.meaning == "numbers":
            return fused
        if self.rule.form == "probability":
            fused = fused.clamp_min(_TINY).log()
        elif self.rule.form == "gain":
            fused = fused + self.prior
        if self.meaning == "classes":
            return F.log_softmax(fused, dim=1)
        having, not_having = fused.chunk(2, dim=1)
        return having - not_having


class Stack(nn.Module):
    """Predictions "B 1 K" of the inputs -> what a fusion makes of them, for a head to learn from.

    Stacked generalisation (Wolpert 1992). Of probabilities what enters is how far the input has moved them from the
    prior, in logarithms. The fusion is any that takes vectors.
    """

    Config: ClassVar[type] = type(None)  # assembled, not built from settings
    keeps_time = False
    prior: Tensor

    def __init__(self, fusion: Fusion, *, meaning: Meaning, prior: Float[Tensor, " K"]) -> None:
        super().__init__()
        self.fusion, self.meaning = fusion, meaning
        self.width = fusion.width
        self.register_buffer("prior", prior.clone(), persistent=False)

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        return self.fusion({name: self._moved(model_input) for name, model_input in tokens.items()})

    def _moved(self, prediction: Tokens) -> Tokens:
        values = prediction.values
        if self.meaning == "classes":
            values = F.log_softmax(values, dim=2) - F.log_softmax(self.prior, dim=0)
        elif self.meaning == "labels":
            values = values - self.prior
        return Tokens(values.clamp(-_FARTHEST, _FARTHEST), prediction.mask)


def logarithms(scores: Float[Tensor, "B K"], meaning: Meaning) -> Float[Tensor, "B D"]:
    """Log-probabilities: of the classes; of labels, of having each and of not having it; numbers as they are."""
    if meaning == "classes":
        return F.log_softmax(scores, dim=1)
    if meaning == "labels":
        return torch.cat([F.logsigmoid(scores), F.logsigmoid(-scores)], dim=1)
    return scores


def combined_width(num_scores: int, meaning: Meaning) -> int:
    """D of what a rule combines: of a label there are two numbers, to have it and not to."""
    return 2 * num_scores if meaning == "labels" else num_scores
