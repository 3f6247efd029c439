"""Generation beside references, in one run on one thread: ratios, never seconds alone.

    python benchmarks/generation.py

- `cache`: decoding 128 tokens greedily with cached keys and values against reading all tokens every time.
- `training`: rows a second of a step of the head (teacher forcing, loss, backward, AdamW) against the same decoder of
  torch's own modules.
- `beam`: beam search (width 4, 64 tokens) on a tiny GPT-2 of random weights, as decoder `hf`, against `generate` of
  transformers on the same network, which gives the same sequences.
- `ctc`: seconds of speech that prefix beam search (width 16, 40 characters, a step of 40 ms) decodes in a second.

Writes `generation.json`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from goal import Goal
from torch import nn

from polymodal.ctc.guides import WordGuide
from polymodal.ctc.prefix_beam import prefix_beam
from polymodal.decoders.hf import Hf, HfConfig
from polymodal.decoders.transformer import Transformer, TransformerConfig
from polymodal.decoding.beam import Beam, BeamConfig
from polymodal.decoding.greedy import Greedy, GreedyConfig
from polymodal.layers.search import Bounds
from polymodal.layers.sequence_head import SequenceHead, Teaching
from polymodal.types import Cells, Tokens

RESULTS = Path(__file__).with_suffix(".json")
_ROWS, _STEPS, _WIDTH, _VOCABULARY, _LENGTH = 16, 20, 128, 1_000, 128
_BEAM, _WRITTEN = 4, 64
_REPEATS = 3
_GREEDY, _BOUNDS = Greedy(GreedyConfig()), Bounds(end=2, max_length=_LENGTH)


def main() -> int:
    """The exit code: 1 where a goal is missed."""
    torch.set_num_threads(1)
    goals = [cache(), training(), beam(), ctc()]
    RESULTS.write_text(json.dumps([goal.record() for goal in goals], indent=2) + "\n")
    for goal in goals:
        print(goal)
    return int(not all(goal.passed for goal in goals))


def cache() -> Goal:
    """Tokens a second with cached keys and values / without."""
    decoder, tokens = _decoder(), _tokens()
    head = _head(decoder)
    begins = torch.ones(_ROWS, dtype=torch.long)
    bounds = Bounds(end=2, max_length=_LENGTH, never=(0, 1, 2))

    def cached() -> object:
        return Greedy(GreedyConfig())(head.step, decoder.start(tokens), bounds, begins=begins)

    def uncached() -> object:
        said = begins.unsqueeze(1)
        for _ in range(_LENGTH):
            scores = decoder(tokens, said)[:, -1].log_softmax(dim=1)
            scores[:, :3] = -torch.inf
            said = torch.cat([said, scores.argmax(dim=1, keepdim=True)], dim=1)
        return said

    with torch.inference_mode():
        return _ratio("cached keys and values, tokens a second / uncached", 5.0, uncached, cached)


def training() -> Goal:
    """Rows a second of a step of ours / of torch's own decoder."""
    tokens, ids = _tokens(), torch.randint(3, _VOCABULARY, (_ROWS, 24))
    target = Cells(ids, torch.full((_ROWS,), 24))
    ours = _head(_decoder()).train()
    theirs = _Reference().train()

    def step(module: nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], object]:
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)

        def run() -> None:
            for _ in range(10):
                optimizer.zero_grad(set_to_none=True)
                loss().backward()
                optimizer.step()

        return run

    own = step(ours, lambda: ours.loss(ours({"": tokens}, target), target).mean())
    other = step(theirs, lambda: theirs.loss(tokens, ids))
    return _ratio("training, rows a second / those of torch's modules", 0.9, other, own)


def beam() -> Goal:
    """Tokens a second of our beam search / of transformers' `generate`."""
    marks = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    config = transformers.GPT2Config(
        vocab_size=_VOCABULARY, n_embd=_WIDTH, n_layer=2, n_head=4, initializer_range=0.2, **marks
    )
    torch.manual_seed(0)
    architecture = HfConfig(architecture=config.to_dict())
    decoder = Hf(architecture, memory_width=_WIDTH, vocabulary_size=_VOCABULARY).eval()
    tokens, bounds = _tokens(), Bounds(end=2, max_length=_WRITTEN, min_length=_WRITTEN)
    head = _head(decoder, Beam(BeamConfig(width=_BEAM)), bounds)
    asked = {"max_new_tokens": _WRITTEN, "min_new_tokens": _WRITTEN, "num_beams": _BEAM, "early_stopping": "never"}

    def own() -> torch.Tensor:
        return head.predict({"": tokens}).ids[:, 0]

    def theirs() -> torch.Tensor:
        read = decoder.memory(tokens)
        begins = decoder.network.get_input_embeddings()(torch.ones(_ROWS, 1, dtype=torch.long))
        prefix = torch.cat([read.values, begins], dim=1)
        mask = torch.cat([read.mask, read.mask.new_ones(_ROWS, 1)], dim=1).long()
        found: torch.Tensor = decoder.network.generate(
            inputs_embeds=prefix, attention_mask=mask, do_sample=False, pad_token_id=2, **asked
        )
        return found

    with torch.inference_mode():
        assert torch.equal(own(), theirs()), "the searches should find the same"
        return _ratio("beam search, tokens a second / those of transformers", 1.0, theirs, own)


def ctc() -> Goal:
    """Seconds of speech decoded in a second, with a list of words."""
    rng = np.random.default_rng(0)
    letters = {place: chr(ord("a") + place - 2) for place in range(2, 28)} | {28: " "}
    words = ["".join(rng.choice([letters[p] for p in range(2, 28)], rng.integers(2, 8))) for _ in range(500)]
    ids = {sign: place for place, sign in letters.items()}
    text = " ".join(rng.choice(words, 150))
    frames = []
    for sign in text:
        for place in (ids[sign], 0):
            scores = rng.normal(0, 1.5, 40)
            scores[place] += 6
            frames.append(scores)
    logs = np.array(frames)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    guide = WordGuide(letters, words=words)
    never, speech = (1, *range(29, 40)), 0.04 * len(logs)
    taken = _seconds(lambda: prefix_beam(logs, width=16, never=never, guide=guide))
    detail = {"seconds": taken, "seconds of speech": speech}
    return Goal("prefix beam search, times real time", speech / taken, 50.0, "times", at_most=False, detail=detail)


class _Reference(nn.Module):
    """The same decoder of torch's modules."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerDecoderLayer(_WIDTH, 4, 256, 0.1, activation="gelu", batch_first=True, norm_first=True)
        self.decoder = nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(_WIDTH))
        self.memory = nn.Sequential(nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, _WIDTH))
        self.embedding = nn.Embedding(_VOCABULARY, _WIDTH)
        self.bias = nn.Parameter(torch.zeros(_VOCABULARY))

    def loss(self, tokens: Tokens, ids: torch.Tensor) -> torch.Tensor:
        read = torch.cat([torch.ones(len(ids), 1, dtype=torch.long), ids], dim=1)
        expected = torch.cat([ids, torch.full((len(ids), 1), 2)], dim=1)
        causal = nn.Transformer.generate_square_subsequent_mask(read.shape[1])
        states = self.decoder(self.embedding(read), self.memory(tokens.values), tgt_mask=causal, tgt_is_causal=True,
                              memory_key_padding_mask=~tokens.mask)  # fmt: skip
        logits = states @ self.embedding.weight.T + self.bias
        return nn.functional.cross_entropy(logits.flatten(0, 1), expected.flatten(), label_smoothing=0.1)


def _decoder() -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(width=_WIDTH), memory_width=_WIDTH, vocabulary_size=_VOCABULARY).eval()


def _head(decoder: nn.Module, search: object = _GREEDY, bounds: Bounds = _BOUNDS) -> SequenceHead:
    return SequenceHead(
        decoder,
        search=search,
        bounds=bounds,
        begin=1,
        prior=torch.zeros(_VOCABULARY),
        teaching=Teaching(_LENGTH, label_smoothing=0.1),
    )


def _tokens() -> Tokens:
    torch.manual_seed(1)
    return Tokens(torch.randn(_ROWS, _STEPS, _WIDTH), torch.ones(_ROWS, _STEPS, dtype=torch.bool))


def _ratio(name: str, bound: float, reference: Callable[[], object], own: Callable[[], object]) -> Goal:
    """How many times as fast as the reference."""
    detail = {"reference seconds": _seconds(reference), "seconds": _seconds(own)}
    ratio = detail["reference seconds"] / detail["seconds"]
    return Goal(name, ratio, bound, "times", at_most=False, detail=detail)


def _seconds(work: Callable[[], object]) -> float:
    """The fastest of some runs, after one that warms up."""
    work()
    taken = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


if __name__ == "__main__":
    sys.exit(main())
