"""What every fusion must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from polymodal.abilities import Anchored, Sourced
from polymodal.testing.rules import (
    Settings,
    check_gradients,
    check_rows_alone,
    check_tokens,
    check_weights,
    expect,
    load_checked,
    row_of,
    same_tokens,
    with_junk,
)
from polymodal.types import Tokens


def check_fusion(part: str | type, *, settings: Settings | None = None) -> None:
    """Checks one fusion, on three inputs of different width and length.

    Args:
        part: name or class.
        settings: if the defaults do not suit.
    """
    cls, config = load_checked("fusions", part, settings)
    widths = {"photo": 6, "note": 4, "voice": 5}

    def build(seed: int, names: Sequence[str] = tuple(widths)) -> nn.Module:
        torch.manual_seed(seed)
        fusion: nn.Module = cls(config, widths={name: widths[name] for name in names})
        return fusion

    fusion = build(0).eval()
    tokens = _fusion_tokens(widths)
    _check_fused(fusion, tokens)
    check_rows_alone(fusion(tokens), lambda row: fusion({name: row_of(t, row) for name, t in tokens.items()}))
    fusion.train()
    nobody = {**tokens, "note": tokens["note"].where_present(torch.zeros(_NUM_ROWS, dtype=torch.bool))}
    check_gradients(fusion, lambda: fusion(tokens).values)
    check_gradients(fusion, lambda: fusion(nobody).values, absent="one input is absent from the whole batch")
    check_weights(fusion, build(1), lambda module: module(tokens).values)
    reordered = build(2, ["voice", "note", "photo"]).eval()
    reordered.load_state_dict(fusion.state_dict())
    result = reordered({name: tokens[name] for name in ("note", "voice", "photo")})
    expect(same_tokens(result, fusion(tokens)), "the order in which inputs are given changes the result")
    only = _anchor(fusion) or "note"
    single = build(3, [only]).eval()
    _check_fused(single, {only: tokens[only]})


_NUM_ROWS = 7


def _fusion_tokens(widths: Mapping[str, int]) -> dict[str, Tokens]:
    """Random tokens; the rows miss none, each one, each pair of the inputs ..., and the last row all of them."""
    generator = torch.Generator().manual_seed(0)
    tokens = {}
    for place, (name, width) in enumerate(widths.items()):
        num_steps = 1 + 2 * place
        lengths = torch.randint(1, num_steps + 1, (_NUM_ROWS,), generator=generator)
        lengths[1 + place] = 0
        lengths[5 if place else 4] = 0
        lengths[-1] = 0
        mask = torch.arange(num_steps) < lengths.unsqueeze(1)
        tokens[name] = Tokens(torch.randn(_NUM_ROWS, num_steps, width, generator=generator), mask)
    return tokens


def _check_fused(fusion: Any, tokens: dict[str, Tokens]) -> None:
    fused = fusion(tokens)
    check_tokens(fused, num_rows=_NUM_ROWS, width=fusion.width)
    expect(fusion.keeps_time or fused.mask.shape[1] == 1, "keeps_time is False, yet there are several tokens")
    present = torch.stack([model_input.present for model_input in tokens.values()]).any(dim=0)
    expect(torch.equal(fused.present, present), "a row must be present exactly where at least one input is")
    expect(torch.equal(fusion(tokens).values, fused.values), "in eval the same tokens give another result")
    expect(
        same_tokens(fusion(with_junk(tokens)), fused),
        "masked positions change the result: the mask of an input is ignored",
    )
    _check_anchor(fusion, tokens)
    _check_sources(fusion, tokens, fused)


def _anchor(fusion: nn.Module) -> str | None:
    return fusion.anchor if isinstance(fusion, Anchored) else None


def _check_anchor(fusion: nn.Module, tokens: dict[str, Tokens]) -> None:
    """Where time is kept, what comes out has a token for each of the anchor's, in the order of the anchor's."""
    anchor = _anchor(fusion)
    if anchor is None:
        return
    expect(anchor in tokens, f"the anchor {anchor!r} is no input")
    if not fusion.keeps_time:
        return
    of_anchor, fused = tokens[anchor], fusion(tokens)
    same = fused.mask.shape == of_anchor.mask.shape
    same = same and torch.equal(fused.mask[of_anchor.present], of_anchor.mask[of_anchor.present])
    expect(same, f"where the anchor {anchor!r} is present, the mask of the result is not the anchor's")


def _check_sources(fusion: Any, tokens: Mapping[str, Tokens], fused: Tokens) -> None:
    """Rows that have all the sources have as many tokens as these together."""
    sources = fusion.sources if isinstance(fusion, Sourced) else ()
    if not sources:
        return
    expect(set(sources) <= set(tokens), f"sources: {sources} are not all inputs")
    whole = torch.stack([tokens[name].present for name in sources]).all(dim=0)
    counts = torch.stack([tokens[name].mask.sum(dim=1) for name in sources]).sum(dim=0)
    same = torch.equal(fused.mask.sum(dim=1)[whole], counts[whole])
    expect(same, f"a row does not have as many tokens as its sources {sources} together")
