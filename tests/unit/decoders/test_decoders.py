"""Decoders: step by step as all at once, and against torch's own and a loop."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from polymodal import registry
from polymodal.abilities import CrossAttending
from polymodal.decoders.lstm import Lstm
from polymodal.decoders.transformer import Transformer
from polymodal.decoding.greedy import Greedy, GreedyConfig
from polymodal.errors import ConfigError
from polymodal.layers.search import Bounds
from polymodal.layers.sequence_head import SequenceHead, Teaching
from polymodal.types import Cells, Tokens

V, D = 11, 6


def build(name: str, **settings: object) -> nn.Module:
    torch.manual_seed(0)
    cls = registry.load("decoders", name)
    decoder = cls(cls.Config(**settings), memory_width=D, vocabulary_size=V).eval()
    for parameter in decoder.parameters():  # biases of zero would hide that one is missing
        parameter.data += 0.1 * torch.randn_like(parameter)
    return decoder


def memory(num_rows: int = 4) -> Tokens:
    torch.manual_seed(1)
    lengths = torch.tensor([5, 2, 0, 3])[:num_rows]
    return Tokens(torch.randn(num_rows, 5, D), torch.arange(5) < lengths.unsqueeze(1))


DECODERS = [
    ("transformer", {"width": 16, "heads": 2, "layers": 2, "hidden": 32}),
    ("lstm", {"width": 16}),
    ("lstm", {"width": 16, "layers": 2, "coverage": True}),
]


@pytest.mark.parametrize(("name", "settings"), DECODERS)
def test_step_by_step_as_all_at_once(name: str, settings: dict) -> None:
    decoder, tokens, ids = build(name, **settings), memory(), torch.randint(0, V, (4, 7))
    with torch.no_grad():
        whole, state = decoder(tokens, ids), decoder.start(tokens)
        for place in range(7):
            logits, state = decoder.step(state, ids[:, place])
            torch.testing.assert_close(logits, whole[:, place], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "settings"), DECODERS)
def test_states_are_of_their_rows(name: str, settings: dict) -> None:
    decoder, ids = build(name, **settings), torch.randint(0, V, (4, 3))
    order, same = torch.tensor([3, 1, 1, 0]), torch.tensor([1, 0, 2, 3])
    with torch.no_grad():
        state = decoder.start(memory())
        for place in range(3):
            _, state = decoder.step(state, ids[:, place])
        logits, _ = decoder.step(state, torch.tensor([1, 2, 3, 4]))
        chosen, _ = decoder.step(state.rows(order), torch.tensor([4, 2, 2, 1]))
        torch.testing.assert_close(chosen, logits[order])
        one = Tokens(memory().values[:1].expand(4, -1, -1), memory().mask[:1].expand(4, -1))
        alike = decoder.start(one)
        for place in range(3):
            _, alike = decoder.step(alike, ids[:, place])
        logits, _ = decoder.step(alike, torch.tensor([5, 5, 5, 5]))
        moved, _ = decoder.step(alike.reordered(same), torch.tensor([5, 5, 5, 5]))
        torch.testing.assert_close(moved, logits[same])


@pytest.mark.parametrize(("name", "settings"), DECODERS)
def test_what_is_said_depends_on_what_was_said_before_and_on_the_memory_alone(name: str, settings: dict) -> None:
    decoder, tokens, ids = build(name, **settings), memory(), torch.randint(0, V, (4, 6))
    with torch.no_grad():
        logits = decoder(tokens, ids)
        later = ids.clone()
        later[:, 4:] = (later[:, 4:] + 1) % V
        torch.testing.assert_close(decoder(tokens, later)[:, :4], logits[:, :4])
        junk = Tokens(torch.where(tokens.mask.unsqueeze(2), tokens.values, math.nan), tokens.mask)
        torch.testing.assert_close(decoder(junk, ids), logits)
        other = decoder(Tokens(tokens.values.flip(0), tokens.mask), ids)
    assert not torch.allclose(other[0], logits[0])
    torch.testing.assert_close(other[2], logits[2])  # it has no memory


def test_the_transformer_is_that_of_torch() -> None:
    ours = build("transformer", width=16, heads=2, layers=2, hidden=32)
    layer = nn.TransformerDecoderLayer(16, 2, 32, 0.0, activation="gelu", batch_first=True, norm_first=True)
    theirs = nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(16)).eval()
    assert isinstance(ours, Transformer)
    with torch.no_grad():
        for mine, its in zip(ours.blocks, theirs.layers, strict=True):
            for attention, of_torch in ((mine.own, its.self_attn), (mine.cross, its.multihead_attn)):
                weights = [attention.query.weight, attention.key.weight, attention.value.weight]
                of_torch.in_proj_weight.copy_(torch.cat(weights))
                biases = [attention.query.bias, torch.zeros(16), attention.value.bias]
                of_torch.in_proj_bias.copy_(torch.cat(biases))
                of_torch.out_proj.load_state_dict(attention.out.state_dict())
            its.norm1.load_state_dict(mine.own_norm.state_dict())
            its.norm2.load_state_dict(mine.cross_norm.state_dict())
            its.norm3.load_state_dict(mine.feed_forward[0].state_dict())
            its.linear1.load_state_dict(mine.feed_forward[1].state_dict())
            its.linear2.load_state_dict(mine.feed_forward[4].state_dict())
        theirs.norm.load_state_dict(ours.norm.state_dict())
        tokens, ids = memory(), torch.randint(0, V, (4, 6))
        read = ours.memory(tokens)
        values = ours.positions(ours.embedding(ids))
        causal = nn.Transformer.generate_square_subsequent_mask(6)
        states = theirs(values, read.values, tgt_mask=causal, memory_key_padding_mask=~read.mask)
        expected = states @ ours.embedding.weight.T + ours.bias
        torch.testing.assert_close(ours(tokens, ids), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "settings"), DECODERS)
def test_attention_is_what_the_decoder_computes(name: str, settings: dict) -> None:
    decoder, tokens, ids = build(name, **settings), memory(), torch.randint(0, V, (4, 6))
    assert isinstance(decoder, CrossAttending)
    with torch.no_grad():
        found = decoder.cross_attention(tokens, ids)
        assert found is not None
        scores = scores_of(decoder, lambda: decoder(tokens, ids))
    real = np.concatenate([np.ones((4, 1), bool), tokens.mask.numpy()], axis=1)
    weights = np.exp(scores) * real[:, None]
    weights /= weights.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(found.numpy(), weights.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.sum(dim=2).numpy(), 1, atol=1e-6)
    assert (found[2, :, 0] == 1).all()  # it has no memory
    assert found[0].std(dim=0).max() > 1e-3  # another one at each step


def scores_of(decoder: nn.Module, run: Callable[[], object]) -> np.ndarray:
    """Scores "N B L U" of each block and head, from what enters the softmax while a decoder runs."""
    seen: dict[nn.Module, list[np.ndarray]] = {}

    def keep(module: nn.Module, _: object, output: torch.Tensor) -> None:
        seen.setdefault(module, []).append(output.double().numpy())

    blocks = decoder.blocks if isinstance(decoder, Transformer) else []
    parts = [one for block in blocks for one in (block.cross.query, block.cross.key)] or [decoder.score]
    hooks = [part.register_forward_hook(keep) for part in parts]
    run()
    for hook in hooks:
        hook.remove()
    if not blocks:
        return np.stack(seen[decoder.score], axis=1)[None, ..., 0]
    found = []
    for block in blocks:
        (queries,), (keys,) = seen[block.cross.query], seen[block.cross.key]
        for head in range(block.cross.num_heads):
            part = slice(head * 8, head * 8 + 8)  # 2 heads of 8
            found.append(np.einsum("bqw,btw->bqt", queries[..., part], keys[..., part]) / math.sqrt(8))
    return np.stack(found)


def test_blocks_are_left_out_for_some_rows_while_training() -> None:
    settings = {"width": 16, "heads": 2, "layers": 1, "hidden": 32, "dropout": 0.0}
    some, none = build("transformer", drop_path=0.5, **settings), build("transformer", **settings)
    tokens, ids = memory(1).rows(torch.zeros(64, dtype=torch.long)), torch.zeros(64, 3, dtype=torch.long)
    with torch.no_grad():
        torch.testing.assert_close(some(tokens, ids), none(tokens, ids))
        assert len(torch.unique(some.train()(tokens, ids), dim=0)) == 2**3
        assert len(torch.unique(none.train()(tokens, ids), dim=0)) == 1


@pytest.mark.parametrize("coverage", [False, True])
def test_the_attention_of_the_lstm_is_that_of_a_loop(coverage: bool) -> None:
    decoder = build("lstm", width=8, coverage=coverage)
    assert isinstance(decoder, Lstm)
    tokens, ids = memory(), torch.randint(0, V, (4, 3))
    with torch.no_grad():
        logits, read = decoder(tokens, ids), decoder.memory(tokens)
        for row in range(4):
            real = [read.values[row, place] for place in range(6) if read.mask[row, place]]
            first = torch.tanh(decoder.first(torch.stack(real).mean(dim=0))).view(2, 1, 8)
            hidden, cell, fed = first[0, 0], first[1, 0], torch.zeros(8)
            covered = [0.0] * len(real)
            for place in range(3):
                entering = torch.cat([decoder.embedding(ids[row, place]), fed])
                hidden, cell = decoder.cells[0](entering, (hidden, cell))
                scores = []
                for step, vector in enumerate(real):
                    summed = decoder.key(vector) + decoder.query(hidden)
                    if coverage:
                        summed = summed + decoder.covered.weight[:, 0] * covered[step]
                    scores.append(float(decoder.score(torch.tanh(summed))))
                largest = max(scores)
                weights = [math.exp(score - largest) for score in scores]
                weights = [weight / sum(weights) for weight in weights]
                covered = [before + weight for before, weight in zip(covered, weights, strict=True)]
                context = sum(weight * vector for weight, vector in zip(weights, real, strict=True))
                fed = torch.tanh(decoder.combine(torch.cat([hidden, context])))
                expected = decoder.embedding.weight @ fed + decoder.bias
                torch.testing.assert_close(logits[row, place], expected, atol=1e-5, rtol=1e-5)


def test_widths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="heads"):
        build("transformer", width=10, heads=4)


class Sure(nn.Module):
    """A decoder that always says the same, and remembers what it read."""

    def __init__(self, says: int) -> None:
        super().__init__()
        self.says = says
        self.scale = nn.Parameter(torch.tensor(100.0))
        self.read: list[torch.Tensor] = []

    def forward(self, tokens: Tokens, ids: torch.Tensor) -> torch.Tensor:
        self.read.append(ids)
        return self.scale * nn.functional.one_hot(torch.full_like(ids, self.says), V).float()


@pytest.mark.parametrize("progress", [0.0, 0.25, 1.0])
def test_tokens_are_replaced_as_often_as_scheduled(progress: float) -> None:
    decoder, bounds = Sure(says=7), Bounds(end=2, max_length=5)
    teaching = Teaching(max_length=50, scheduled_sampling=0.6)
    head = SequenceHead(decoder, search=Greedy(GreedyConfig()), bounds=bounds, begin=1, prior=torch.zeros(V),
                        teaching=teaching)  # fmt: skip
    target = Cells(torch.full((200, 40), 5), torch.full((200,), 40))
    tokens = {"": Tokens(torch.zeros(200, 1, D), torch.ones(200, 1, dtype=torch.bool))}
    torch.manual_seed(0)
    head.train()(tokens, target, progress)
    read = decoder.read[-1]
    assert (read[:, 0] == 1).all()
    share = (read[:, 1:] == 7).float().mean()
    assert float(share) == pytest.approx(0.6 * progress, abs=0.02)
    head.eval()(tokens, target, progress)
    assert (decoder.read[-1][:, 1:] == 5).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_a_loop(smoothing: float) -> None:
    decoder = build("lstm", width=8)
    head = SequenceHead(decoder, search=Greedy(GreedyConfig()), bounds=Bounds(end=2, max_length=5), begin=1,
                        prior=torch.randn(V), teaching=Teaching(4, label_smoothing=smoothing)).eval()  # fmt: skip
    target = Cells(
        torch.tensor([[5, 6, 0, 0, 0], [7, 8, 9, 4, 5], [0] * 5, [3, 3, 3, 4, 0]]), torch.tensor([2, 5, 0, 4])
    )
    tokens = {"": memory()}
    with torch.no_grad():
        found = head.loss(head(tokens, target), target)
        for row, text in enumerate([[5, 6, 2], [7, 8, 9, 4], [], [3, 3, 3, 4, 2]]):  # what is cut has no end
            said = torch.tensor([[1, *text[:-1]]] * 4)
            losses = []
            if text:
                logs = decoder(tokens[""], said)[row].log_softmax(dim=1)
                losses = [
                    -(1 - smoothing) * float(logs[place, one]) - smoothing * float(logs[place].mean())
                    for place, one in enumerate(text)
                ]
            assert float(found[row]) == pytest.approx(sum(losses) / max(len(losses), 1), abs=1e-5)
