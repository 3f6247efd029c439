"""LSTM decoder with attention to the memory and input feeding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from polymodal.config.node import settings
from polymodal.layers.memory import WithNothing
from polymodal.layers.pooling import masked_softmax
from polymodal.types import Tokens


@settings
class LstmConfig:
    """Settings of `Lstm`.

    Attributes:
        width: of the states, the embeddings and the memory.
        layers: LSTM layers on top of each other.
        coverage: the attention is told how much each step of the memory was attended to before (See et al. 2017).
        dropout: probability, on embeddings, between layers and before the output.
    """

    width: PositiveInt = 128
    layers: PositiveInt = 1
    coverage: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


@dataclass(frozen=True)
class LstmState:
    """Attributes:
    hidden, cell: "B layers D".
    fed: "B D", the last attentional state, which enters the next step.
    coverage: "B T", the sum of the attention weights so far.
    memory: the tokens, and `keys` "B T D" made from them.
    """

    hidden: Float[Tensor, "B L D"]
    cell: Float[Tensor, "B L D"]
    fed: Float[Tensor, "B D"]
    coverage: Float[Tensor, "B T"]
    memory: Float[Tensor, "B T D"]
    keys: Float[Tensor, "B T D"]
    mask: Bool[Tensor, "B T"]

    def rows(self, index: Int[Tensor, " M"]) -> LstmState:
        return LstmState(
            self.hidden[index],
            self.cell[index],
            self.fed[index],
            self.coverage[index],
            self.memory[index],
            self.keys[index],
            self.mask[index],
        )

    def reordered(self, index: Int[Tensor, " B"]) -> LstmState:
        return replace(
            self,
            hidden=self.hidden[index],
            cell=self.cell[index],
            fed=self.fed[index],
            coverage=self.coverage[index],
        )


class Lstm(nn.Module):
    """h_t = LSTM([y_t, a_t-1], h_t-1); a_t = tanh(W [h_t, c_t]); c_t = sum_i w_ti m_i; p(y_t+1) = softmax(E a_t).

    Weights w_t: the softmax over the memory of v tanh(K m_i + Q h_t + u g_ti) (Bahdanau et al. 2015, arXiv 1409.0473,
    section A.1.2), g_ti the coverage, the sum of w_ki over the steps k before (See et al. 2017, arXiv 1704.04368,
    equations 10 and 11; without their loss) where it is asked for. Input feeding: Luong et al. (2015, arXiv
    1508.04025, section 3.3).

    Args:
        config: settings.
        memory_width: D of the memory.
        vocabulary_size: V.
    """

    Config: ClassVar[type] = LstmConfig

    def __init__(self, config: LstmConfig, *, memory_width: int, vocabulary_size: int) -> None:
        super().__init__()
        width = config.width
        self.width = width
        self.memory = WithNothing(memory_width, width)
        self.embedding = nn.Embedding(vocabulary_size, width)
        nn.init.normal_(self.embedding.weight, std=0.05)
        self.cells = nn.ModuleList(
            nn.LSTMCell(2 * width if depth == 0 else width, width) for depth in range(config.layers)
        )
        self.first = nn.Linear(width, 2 * config.layers * width)
        self.key = nn.Linear(width, width, bias=False)
        self.query = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)
        self.covered = nn.Linear(1, width, bias=False) if config.coverage else None
        self.combine = nn.Linear(2 * width, width, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, tokens: Tokens, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        """Logits of the token after each of these, of which the first is the begin."""
        state, steps = self.start(tokens), []
        for place in range(ids.shape[1]):
            logits, state = self.step(state, ids[:, place])
            steps.append(logits)
        return torch.stack(steps, dim=1)

    def start(self, tokens: Tokens) -> LstmState:
        """The state in which nothing was said; the first states are made of the memory's mean."""
        memory = self.memory(tokens)
        mean = memory.values.sum(dim=1) / memory.mask.sum(dim=1, keepdim=True)
        first = torch.tanh(self.first(mean)).view(len(mean), 2, len(self.cells), self.width)
        return LstmState(
            hidden=first[:, 0],
            cell=first[:, 1],
            fed=torch.zeros_like(mean),
            coverage=torch.zeros_like(memory.values[:, :, 0]),
            memory=memory.values,
            keys=self.key(memory.values),
            mask=memory.mask,
        )

    def step(self, state: LstmState, ids: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B V"], LstmState]:
        """Logits of the token after this one, and the state in which it was said."""
        values = torch.cat([self.dropout(self.embedding(ids)), state.fed], dim=1)
        hidden, cell = [], []
        for depth, layer in enumerate(self.cells):
            values = self.dropout(values) if depth else values
            values, inner = layer(values, (state.hidden[:, depth], state.cell[:, depth]))
            hidden.append(values)
            cell.append(inner)
        weights = self._weights(state, values)
        context = (weights.unsqueeze(2) * state.memory).sum(dim=1)
        fed = torch.tanh(self.combine(torch.cat([values, context], dim=1)))
        after = replace(
            state,
            hidden=torch.stack(hidden, dim=1),
            cell=torch.stack(cell, dim=1),
            fed=fed,
            coverage=state.coverage + weights,
        )
        return nn.functional.linear(self.dropout(fed), self.embedding.weight, self.bias), after

    def cross_attention(self, tokens: Tokens, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L U"]:
        """The weights w_t of every step."""
        state, steps = self.start(tokens), []
        for place in range(ids.shape[1]):
            _, after = self.step(state, ids[:, place])
            steps.append(self._weights(state, after.hidden[:, -1]))
            state = after
        return torch.stack(steps, dim=1)

    def _weights(self, state: LstmState, hidden: Float[Tensor, "B D"]) -> Float[Tensor, "B T"]:
        """How much each step of the memory counts."""
        summed = state.keys + self.query(hidden).unsqueeze(1)
        if self.covered is not None:
            summed = summed + self.covered(state.coverage.unsqueeze(2))
        return masked_softmax(self.score(torch.tanh(summed)).squeeze(2), state.mask)
