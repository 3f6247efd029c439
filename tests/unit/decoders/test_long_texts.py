"""Decoders at length: step by step as all at once over 256 tokens, and rows together as alone (`make test-slow`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny_language_models as tiny
import torch
from torch import nn

from polymodal import registry
from polymodal.decoding.beam import Beam, BeamConfig
from polymodal.decoding.greedy import Greedy, GreedyConfig
from polymodal.decoding.sampling import Sampling, SamplingConfig
from polymodal.layers.search import Bounds
from polymodal.layers.sequence_head import SequenceHead, Teaching
from polymodal.types import Sequences, Tokens

pytestmark = pytest.mark.slow

LENGTH, WIDTH, ROWS, VOCABULARY = 256, 12, 6, 24
BEGIN, END = 0, 1
KINDS = {
    "transformer": {"width": 32, "heads": 4, "layers": 3},
    "lstm": {"width": 32, "layers": 2, "coverage": True},
    "gpt2": {"n_positions": LENGTH + 32},
    "t5": {},
}


def build(kind: str, folder: Path, seed: int = 0) -> nn.Module:
    """A decoder of random weights; `gpt2` and `t5` are of transformers."""
    name = "hf" if kind in tiny.KINDS else kind
    cls = registry.load("decoders", name)
    torch.manual_seed(seed)
    if name == "hf":
        given = {"checkpoint": str(tiny.save(folder / kind, kind, deviation=0.4, **KINDS[kind]))}
        size = cls.tokenizer(cls.Config(**given))["size"]
    else:
        given, size = KINDS[kind], VOCABULARY
    torch.manual_seed(seed)
    decoder = cls(cls.Config(**given), memory_width=WIDTH, vocabulary_size=size).eval()
    if name != "hf":
        for parameter in decoder.parameters():  # as at first, it would say one token again and again
            parameter.data += 0.3 * torch.randn_like(parameter)
    return decoder


def memory(seed: int = 0) -> Tokens:
    torch.manual_seed(seed)
    lengths = torch.tensor([9, 4, 1, 7, 2, 9])
    return Tokens(torch.randn(ROWS, 9, WIDTH), torch.arange(9) < lengths.unsqueeze(1))


@pytest.mark.parametrize("kind", KINDS)
def test_cached_as_uncached_over_256_tokens(kind: str, tmp_path: Path) -> None:
    decoder, tokens, most = build(kind, tmp_path), memory(), 0.0
    ids = torch.randint(2, VOCABULARY, (ROWS, LENGTH))
    with torch.inference_mode():
        whole, state = decoder(tokens, ids).log_softmax(dim=2), decoder.start(tokens)
        for place in range(LENGTH):
            logits, state = decoder.step(state, ids[:, place])
            difference = (logits.log_softmax(dim=1) - whole[:, place]).abs() / whole[:, place].abs().clamp_min(1)
            most = max(most, float(difference.max()))
    assert most < 1e-5
    print(f"{kind}: {ROWS} rows of {LENGTH} tokens, log-probabilities differ by at most {most:.1e}")


@dataclass(frozen=True)
class Whole:
    """A state without a cache: the memory, and all that was said."""

    memory: Tokens
    ids: torch.Tensor

    def rows(self, index: torch.Tensor) -> Whole:
        return Whole(self.memory.rows(index), self.ids[index])

    reordered = rows


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_of_256_tokens_is_the_same_with_and_without_a_cache(kind: str, tmp_path: Path) -> None:
    """In float64: among thousands of draws, errors of rounding in float32 would change one now and then."""
    decoder, tokens = build(kind, tmp_path).double(), memory()
    tokens = Tokens(tokens.values.double(), tokens.mask)
    search, bounds = Sampling(SamplingConfig(seed=5)), Bounds(END, max_length=LENGTH, never=(BEGIN, END))
    found = head(decoder, search, bounds, tokens)

    def uncached(state: Whole, ids: torch.Tensor) -> tuple[torch.Tensor, Whole]:
        said = torch.cat([state.ids, ids.unsqueeze(1)], dim=1)
        return decoder(state.memory, said)[:, -1].log_softmax(dim=1), Whole(state.memory, said)

    with torch.inference_mode():
        nothing = Whole(tokens, torch.zeros(ROWS, 0, dtype=torch.long))
        expected = search(uncached, nothing, bounds, begins=torch.full((ROWS,), BEGIN))
    assert found.lengths.flatten().tolist() == [LENGTH] * ROWS
    assert torch.equal(found.ids, expected.ids)
    torch.testing.assert_close(found.log_probability, expected.log_probability, atol=0, rtol=1e-9)
    different = len(found.ids.unique())
    assert different > 10
    print(f"{kind}: {ROWS} texts of {LENGTH} tokens alike, {different} different tokens in them")


@pytest.mark.parametrize(
    "search",
    [
        Greedy(GreedyConfig()),
        Beam(BeamConfig(width=4, n_best=2)),
        Sampling(SamplingConfig(n_best=2, top_p=0.9, seed=1)),
    ],
    ids=["greedy", "beam", "sampling"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_together_as_alone(kind: str, search, tmp_path: Path) -> None:
    compared, bounds = 0, Bounds(END, max_length=64, never=(BEGIN,), no_repeat_ngram=3)
    for seed in range(4):
        decoder, tokens = build(kind, tmp_path, seed), memory(seed)
        together = head(decoder, search, bounds, tokens)
        for row in range(ROWS):
            length = int(tokens.mask[row].sum())  # without padding
            alone = Tokens(tokens.values[row : row + 1, :length], tokens.mask[row : row + 1, :length])
            one = head(decoder, search, bounds, alone)
            assert texts(one)[0] == texts(together)[row]
            torch.testing.assert_close(
                one.log_probability[0], together.log_probability[row], atol=1e-4, rtol=1e-5
            )  # sums of up to 64 log-probabilities
            compared += len(texts(one)[0])
    print(f"{kind}: 4 models, {compared} texts alike")


def head(decoder: nn.Module, search, bounds: Bounds, tokens: Tokens) -> Sequences:
    writing = SequenceHead(decoder, search=search, bounds=bounds, begin=BEGIN, prior=torch.zeros(1),
                           teaching=Teaching(bounds.max_length))  # fmt: skip
    with torch.inference_mode():
        return writing.predict({"": tokens})


def texts(found: Sequences) -> list[list[list[int]]]:
    return [
        [ids[:length] for ids, length in zip(row, of_row, strict=True)]
        for row, of_row in zip(found.ids.tolist(), found.lengths.tolist(), strict=True)
    ]
