"""The head of tasks whose predictions are sequences: a decoder, its loss, and the search for the best sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.export import register_dataclass
from torch.nn import functional

from polymodal.abilities import CrossAttending
from polymodal.layers.datastore import Datastore, Neighbours
from polymodal.layers.pooling import lengths_to_mask
from polymodal.layers.search import Bounds, Found
from polymodal.types import Cells, Sequences, Tokens, full_precision


@dataclass(frozen=True)
class NextTokens:
    """Logits "B L V" of the token after each one of the target, the begin before it."""

    logits: Float[Tensor, "B L V"]


register_dataclass(NextTokens)


@dataclass(frozen=True)
class Teaching:
    """How a decoder learns.

    Attributes:
        max_length: so many tokens of a target are learned.
        label_smoothing: share of the target's probability that is spread over all tokens.
        scheduled_sampling: probability, at the end of training, that it reads a token of its own in place of the true
            one.
    """

    max_length: int
    label_smoothing: float = 0.0
    scheduled_sampling: float = 0.0


@runtime_checkable
class Remembering(Protocol):
    """A head that may hold the texts of training rows, and finds those of the nearest ones."""

    datastore: Datastore | None

    def drafting(self) -> Any:
        """A context in which a quick search stands in for a slow one: while it learns."""

    def weighted(self, tokens: Tokens, weights: Sequence[float]) -> list[Sequences]:
        """Predictions with each of several weights of the nearest training rows' texts."""


class SequenceHead(nn.Module):
    """Fused tokens -> a sequence, whose probability is the product of those of its tokens.

    The loss of a row is minus the mean log-probability of its tokens and the end mark, each after the true ones before
    it (teacher forcing), with label smoothing (Szegedy et al. 2016). With scheduled sampling (Bengio et al. 2015,
    arXiv 1506.03099) some of them are replaced by what the decoder draws itself after the true ones, in one further
    pass, as Mihaylova and Martins (2019, arXiv 1906.07651) do for transformers.

    Args:
        decoder: (tokens, ids) -> logits; `start` and `step` for a search.
        search: of `decoding`.
        bounds: what the sequences must keep.
        begin: id before every sequence.
        prior: "V", log frequencies of the tokens: what the decoder says at first.
        teaching: how it learns.
        datastore: texts of training rows, for a search that looks at those of the nearest ones.
    """

    in_batch = False

    def __init__(
        self,
        decoder: nn.Module,
        *,
        search: Any,
        bounds: Bounds,
        begin: int,
        prior: Float[Tensor, " V"],
        teaching: Teaching,
        datastore: Datastore | None = None,
    ) -> None:
        super().__init__()
        self.decoder: Any = decoder
        self.search, self.bounds, self.begin = search, bounds, begin
        self.teaching = teaching
        self.datastore, self._drafts = datastore, False
        bias = getattr(decoder, "bias", None)
        if isinstance(bias, nn.Parameter):  # from zero, training first unlearns what hardly ever occurs
            bias.data.copy_(prior)

    def forward(self, tokens: Mapping[str, Tokens], target: Cells | None = None, progress: float = 1.0) -> NextTokens:
        (only,) = tokens.values()
        assert target is not None, "a decoder learns from what it should have said; to write, call predict"
        ids = target.values[:, : self.teaching.max_length]
        begins = ids.new_full((len(ids), 1), self.begin)
        read = torch.cat([begins, ids], dim=1)
        rate = self.teaching.scheduled_sampling * progress if self.training else 0.0
        if rate > 0:
            with torch.no_grad():
                logits = self.decoder(only, read)[:, :-1]
                own = torch.multinomial(logits.softmax(dim=2).flatten(0, 1), 1).view(ids.shape)
            replaced = torch.rand(own.shape, device=own.device) < rate
            read = torch.cat([begins, torch.where(replaced, own, ids)], dim=1)
        return NextTokens(full_precision(self.decoder(only, read)))

    def loss(self, output: NextTokens, target: Cells | None) -> Float[Tensor, " B"]:
        """Loss by token of each row; 0 where the text is unknown."""
        assert target is not None, "a text is a target"
        lengths = target.lengths.clamp_max(self.teaching.max_length)
        whole = target.lengths <= self.teaching.max_length  # the end of a text that was cut is not known
        num_steps = output.logits.shape[1]
        steps = torch.arange(num_steps, device=lengths.device)
        ids = functional.pad(target.values[:, : self.teaching.max_length], (0, 1))[:, :num_steps]
        expected = torch.where(steps == lengths.unsqueeze(1), self.bounds.end, ids)
        counted = lengths_to_mask(lengths + whole.long(), num_steps)
        losses = functional.cross_entropy(
            output.logits.flatten(0, 1),
            expected.flatten(),
            reduction="none",
            label_smoothing=self.teaching.label_smoothing,
        ).view(expected.shape)
        means = torch.where(counted, losses, 0).sum(dim=1) / counted.sum(dim=1)
        return torch.where(target.present, means, 0)

    def predict(self, tokens: Mapping[str, Tokens]) -> Sequences:
        """The best sequences of each row; empty ones of rows without any input."""
        (only,) = tokens.values()
        return self._spread(only.present, [self._search(some)] if (some := _some(only)) is not None else [])[0]

    def weighted(self, tokens: Tokens, weights: Sequence[float]) -> list[Sequences]:
        """Those of each weight of the nearest training rows' texts, from the same draws."""
        some = _some(tokens)
        if some is None:
            return [self._spread(tokens.present, [])[0] for _ in weights]
        start, begins = self._begin(some)
        near = self._nearest(some)
        found = self.search.weighted(self.step, start, self.bounds, begins=begins, neighbours=near, weights=weights)
        return self._spread(tokens.present, found)

    @contextmanager
    def drafting(self) -> Iterator[None]:
        """Meanwhile the quick search of a slow one, its `draft`, stands in for it."""
        self._drafts = hasattr(self.search, "draft")
        try:
            yield
        finally:
            self._drafts = False

    def stream(self, tokens: Tokens) -> Iterator[Int[Tensor, " B"]]:
        """The next token of each row, by a search that goes token by token; behind the end it means nothing."""
        begins = torch.full((len(tokens.mask),), self.begin, device=tokens.mask.device)
        for ids, _ in self.search.stream(self.step, self.decoder.start(tokens), self.bounds, begins=begins):
            yield ids

    def attention(self, tokens: Tokens, prediction: Sequences) -> Float[Tensor, "B L U"] | None:
        """How much each token of the best sequences attended to nothing, and to each of these; None: not known."""
        if not isinstance(self.decoder, CrossAttending):
            return None
        ids, lengths = prediction.ids[:, 0], prediction.lengths[:, 0]
        written = torch.where(lengths_to_mask(lengths, ids.shape[1]), ids, self.begin)
        weights = self.decoder.cross_attention(tokens, functional.pad(written[:, :-1], (1, 0), value=self.begin))
        return None if weights is None else full_precision(weights)

    def step(self, state: Any, ids: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B V"], Any]:
        """Log-probabilities of the token after this one, and the state in which it was said."""
        logits, after = self.decoder.step(state, ids)
        return full_precision(logits).log_softmax(dim=1), after

    def portable(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The task's settings, of which those of a decoder that started from a checkpoint no longer name it."""
        inside = getattr(self.decoder, "portable", None)
        return {**settings, "decoder": {**settings["decoder"], **inside}} if inside else dict(settings)

    def _search(self, tokens: Tokens) -> Found:
        start, begins = self._begin(tokens)
        search = self.search.draft if self._drafts else self.search
        near = None if self._drafts else self._nearest(tokens)
        further = {} if near is None else {"neighbours": near}
        found: Found = search(self.step, start, self.bounds, begins=begins, **further)
        return found

    def _begin(self, tokens: Tokens) -> tuple[Any, Int[Tensor, " B"]]:
        return self.decoder.start(tokens), torch.full((len(tokens.mask),), self.begin, device=tokens.mask.device)

    def _nearest(self, tokens: Tokens) -> Neighbours | None:
        """The nearest training rows' texts, where the search looks at them and there are any."""
        if self.datastore is None or not len(self.datastore) or tokens.features is None:
            return None
        number = getattr(self.search.config, "neighbours", 0)
        return self.datastore.nearest(tokens.features, number) if number else None

    def _spread(self, present: Tensor, found: Sequence[Found]) -> list[Sequences]:
        """What was found for the rows that are present, among the empty sequences of the others."""
        if not found:
            return [_empty(present, getattr(self.search.config, "n_best", 1))]
        some = present.nonzero().squeeze(1)
        spread = []
        for one in found:
            shape = (len(present), *one.ids.shape[1:])
            spread.append(Sequences(
                ids=one.ids.new_zeros(shape).index_copy(0, some, one.ids),
                lengths=one.lengths.new_zeros(shape[:2]).index_copy(0, some, one.lengths),
                log_probability=one.log_probability.new_zeros(shape[:2]).index_copy(0, some, one.log_probability),
                present=present,
            ))  # fmt: skip
        return spread


def _some(tokens: Tokens) -> Tokens | None:
    """The rows that are present; None where there is none."""
    some = tokens.present.nonzero().squeeze(1)
    return tokens.rows(some) if len(some) else None


def _empty(present: Tensor, number: int) -> Sequences:
    nothing = torch.zeros(len(present), number, device=present.device)
    return Sequences(nothing.long().unsqueeze(2), nothing.long(), nothing, present)
