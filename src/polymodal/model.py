"""The model: one encoder per input, one fusion, one head. This file reads as the architecture diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polymodal.abilities import Confident
from polymodal.layers.auxiliary import AuxiliaryHeads
from polymodal.layers.by_name import ByName
from polymodal.layers.mixup import Mixing, of_rows
from polymodal.layers.temperature import Temperature
from polymodal.types import Batch, Encoder, Fusion, Head, Prediction, Tokens


@dataclass(frozen=True)
class Lesson:
    """What one batch gives to learn from.

    Attributes:
        loss: of each row: what is to become smaller.
        prediction: of the fusion, for inputs of which some were hidden.
        own: by input, how sure that input is by itself of the target (`confidence`), without gradient, and NaN for
            rows without it. Empty where nothing measures it.
    """

    loss: Float[Tensor, " B"]
    prediction: Prediction
    own: Mapping[str, Float[Tensor, " B"]]


class Model(nn.Module):
    """Batch -> encoders -> fusion -> head -> Prediction.

    A missing cell never enters an encoder: encoders run on the rows that have one, and their tokens are scattered
    back among rows of masked tokens. While training, whole inputs are hidden at random (`modality_dropout`), so that
    the model learns to do without any of them; and each input may also have to predict the target by itself
    (`auxiliary`).

    Args:
        encoders: by input.
        columns: by input, the columns that its encoder receives, in order.
        fusion: combines the tokens of all inputs.
        head: turns the fused tokens into a prediction.
        auxiliary: heads of single inputs.
        modality_dropout: probability with which an input of a row is hidden while training; a row keeps at least one.
    """

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        columns: Mapping[str, Sequence[str]],
        fusion: Fusion,
        head: Head,
        *,
        auxiliary: AuxiliaryHeads | None = None,
        modality_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoders = ByName(cast(Mapping[str, nn.Module], encoders))
        self.columns = {name: tuple(of_input) for name, of_input in columns.items()}
        self.fusion = fusion
        self.head = head
        self.auxiliary = auxiliary
        self.modality_dropout = modality_dropout
        self.temperature = Temperature()

    def forward(self, batch: Batch) -> Prediction:
        return self.combine(self.encode_all(batch))

    def encode_all(self, batch: Batch) -> dict[str, Tokens]:
        """Tokens of every input, before fusion."""
        return {name: self.encode(name, batch) for name in self.encoders}

    def combine(self, tokens: Mapping[str, Tokens]) -> Prediction:
        """Prediction from the tokens of every input."""
        prediction: Prediction = self.head(self.fusion(tokens))
        mixed = prediction if self.auxiliary is None else self.auxiliary.mixed_into(prediction, tokens, self.head)
        result: Prediction = self.temperature(mixed)
        return result

    def encode(self, name: str, batch: Batch) -> Tokens:
        """Tokens of one input for all rows of the batch; rows without a cell are masked."""
        if name in batch.encoded:
            return batch.encoded[name]
        encoder = self.encoders[name]
        cells = [batch.cells[column] for column in self.columns[name]]
        present = torch.stack([column.present for column in cells]).any(dim=0)
        if bool(present.all()):
            return encoder(*cells)  # type: ignore[no-any-return]  # a module by name is an Encoder here
        if not bool(present.any()):
            return _absent(len(batch), encoder)
        rows = present.nonzero().squeeze(1)
        return _scatter(encoder(*[column.rows(rows) for column in cells]), rows, len(batch))

    def training_loss(
        self, batch: Batch, target: Tensor, *, mixing: Mixing | None = None, ask_inputs: bool = False
    ) -> Lesson:
        """What to learn from a batch: with hidden inputs and auxiliary heads, perhaps from mixtures of its rows.

        Args:
            batch: some training rows.
            target: as the task encodes it.
            mixing: which rows are mixed.
            ask_inputs: measure `own` also without auxiliary heads: the fusion then sees one input at a time.
        """
        tokens = self.encode_all(batch if mixing is None else mixing.of_batch(batch))
        tokens = tokens if mixing is None else mixing.of_tokens(tokens)
        own: dict[str, Prediction] = {} if self.auxiliary is None else self.auxiliary(tokens)
        prediction: Prediction = self.head(self.fusion(self._hide(tokens)))
        loss = of_rows(partial(self.head.loss, prediction), target, mixing)
        if self.auxiliary is not None:
            losses = {name: of_rows(partial(self.head.loss, said), target, mixing) for name, said in own.items()}
            loss = loss + self.auxiliary.blended(losses, tokens)
        with torch.no_grad():
            if ask_inputs and not own:
                own = {name: self.head(self.fusion(only(name, tokens))) for name in tokens}
            sure = {name: of_rows(partial(confidence, self.head, said), target, mixing) for name, said in own.items()}
        return Lesson(loss, prediction, {n: rows.where(tokens[n].present, torch.nan) for n, rows in sure.items()})

    def _hide(self, tokens: dict[str, Tokens]) -> dict[str, Tokens]:
        if not self.modality_dropout or len(tokens) < 2:
            return tokens
        present = torch.stack([of_input.present for of_input in tokens.values()])
        keep = keep_some(present, self.modality_dropout)
        return {name: of_input.where_present(row) for (name, of_input), row in zip(tokens.items(), keep, strict=True)}


def keep_some(present: Bool[Tensor, "I B"], probability: float) -> Bool[Tensor, "I B"]:
    """Which of the present inputs of each row to keep: each is hidden with the probability, one always stays."""
    draw = torch.rand(present.shape, device=present.device).masked_fill(~present, -1.0)
    survivor = draw == draw.max(dim=0, keepdim=True).values  # the last that a rising probability would hide
    return present & ((draw >= probability) | survivor)


def confidence(head: Head, prediction: Prediction, target: Tensor) -> Float[Tensor, " B"]:
    """How sure a prediction is of the target, as the head says, else exp(-loss): the likelihood without constants."""
    if isinstance(head, Confident):
        return head.confidence(prediction, target)
    return torch.exp(-head.loss(prediction, target))


def only(name: str, tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
    """The tokens with every other input made absent."""
    nobody = torch.zeros_like(tokens[name].present)
    return {n: of_input if n == name else of_input.where_present(nobody) for n, of_input in tokens.items()}


def _absent(num_rows: int, encoder: nn.Module) -> Tokens:
    """Masked tokens for a batch in which nobody has the input; touches every parameter, or DDP would wait for ever."""
    parameters = list(encoder.parameters())
    values = torch.zeros(num_rows, 1, cast(Encoder, encoder).width, device=parameters[0].device if parameters else None)
    for parameter in parameters:
        values = values + parameter.sum() * 0.0
    return Tokens(values, values.new_zeros(num_rows, 1, dtype=torch.bool))


def _scatter(tokens: Tokens, rows: Tensor, num_rows: int) -> Tokens:
    values = tokens.values.new_zeros(num_rows, *tokens.values.shape[1:]).index_copy(0, rows, tokens.values)
    mask = tokens.mask.new_zeros(num_rows, tokens.mask.shape[1]).index_copy(0, rows, tokens.mask)
    return Tokens(values, mask)
