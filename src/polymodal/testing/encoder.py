"""What every encoder must do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from polymodal import registry
from polymodal.abilities import Spanning
from polymodal.models.build import build_encoder
from polymodal.protocols import Modality
from polymodal.testing.rules import (
    Settings,
    as_it_enters,
    check_config,
    check_gradients,
    check_rows_alone,
    check_tokens,
    check_weights,
    expect,
    load,
    same_json,
    same_tokens,
    sample_cells,
    settings_of,
)
from polymodal.testing.time import check_time
from polymodal.types import Cells, Tokens

_LONG = 3600.0  # seconds: longer than any token


def check_encoder(
    part: str | type,
    modality: str,
    *,
    settings: Settings | None = None,
    cells: Mapping[str, Sequence[object]] | None = None,
) -> None:
    """Checks one encoder.

    Args:
        part: name or class.
        modality: whose encoder it is: the folder of `encoders/`.
        settings: if the defaults do not suit, or are too large for a test.
        cells: at least three readable cells for each modality that is not Polymodal's own.
    """
    cls = load(f"encoders/{modality}", part)
    config = check_config(cls, settings)
    needs = cls.needs(config)
    expect(same_json(needs, json.loads(json.dumps(needs))), "needs must hold JSON values")
    names = _members(modality)
    columns = [_Column.fitted(name, (cells or {}).get(name), needs, encoder=cls) for name in names]

    def build(settings: Any, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        made = build_encoder(cls, settings, [column.modality for column in columns])
        assert isinstance(made, nn.Module), "an encoder is an nn.Module"
        return made

    encoder = build(config, 0)
    inputs = _rows_of(columns)
    tokens = _check_encoder_tokens(encoder, inputs)
    if len(columns) == 1:
        check_time(encoder, columns[0].modality, columns[0].arrays)
    else:
        expect(not encoder.keeps_time, "keeps_time is True, yet several columns have no time in common")
    if issubclass(cls, Spanning):
        _check_spanning(cls, config, encoder, build)
    check_rows_alone(tokens, lambda row: encoder(*(c.modality.collate([c.arrays[row]]) for c in columns)))
    padded = encoder(*(_fill_padding(column) for column in inputs))
    expect(same_tokens(padded, tokens), "what lies behind the end of a cell changes the result")
    encoder.train()
    learns = check_gradients(encoder, lambda: encoder(*inputs).values)
    expect(bool(encoder.frozen) != learns, "`frozen` does not say whether a parameter learns")
    portable = json.loads(json.dumps(encoder.portable))
    rebuilt = build(settings_of(cls, portable), 1)
    check_weights(encoder, rebuilt, lambda module: module(*inputs).values)


def _members(modality: str) -> list[str]:
    """The modalities whose columns an encoder of this folder receives: those of a group, together."""
    grouped = [name for name in registry.names("modalities") if registry.load("modalities", name).group == modality]
    return grouped or [modality]


@dataclass(frozen=True)
class _Column:
    """A fitted modality and arrays, some of them missing where others can stand in for them."""

    modality: Modality
    arrays: list[np.ndarray | None]

    @classmethod
    def fitted(cls, name: str, cells: Sequence[object] | None, needs: Settings, *, encoder: type) -> _Column:
        modality_class = registry.load("modalities", name)
        config = settings_of(modality_class, needs)
        arrays = [modality_class(config).read(cell) for cell in (sample_cells(name) if cells is None else cells)]
        fitted = modality_class(config, modality_class(config).fit(arrays))
        return cls(as_it_enters(encoder, fitted), arrays)


def _rows_of(columns: list[_Column]) -> list[Cells]:
    """One `Cells` a column; of several columns each misses one row, but no row misses them all."""
    if len(columns) > 1:
        for row, column in enumerate(columns):
            column.arrays[row] = None
    return [column.modality.collate(column.arrays) for column in columns]


def _check_encoder_tokens(encoder: Any, inputs: list[Cells]) -> Tokens:
    encoder.eval()
    tokens: Tokens = encoder(*inputs)
    check_tokens(tokens, num_rows=len(inputs[0].lengths), width=encoder.width)
    expect(bool(tokens.present.all()), "a row with a cell has no real token")
    expect(encoder.token_span is None or encoder.token_span > 0, "token_span is neither None nor above zero")
    expect(torch.equal(encoder(*inputs).values, tokens.values), "in eval the same cells give other tokens")
    return tokens


def _check_spanning(cls: type[Spanning], config: Any, encoder: Any, build: Callable[[Any, int], nn.Module]) -> None:
    """Settings of `spanning` keep time, and it leaves those that do so already, in tokens short enough."""
    kept = config if encoder.keeps_time else cls.spanning(config, _LONG)
    expect(bool(build(kept, 0).keeps_time), "the settings that `spanning` gives do not keep time")
    expect(cls.spanning(kept, _LONG) == kept, "`spanning` changes settings that keep time in tokens short enough")


def _fill_padding(cells: Cells) -> Cells:
    """The same cells with other values of the batch behind each row's end, where axis 1 is time."""
    if int(cells.lengths.max()) <= 1:
        return cells
    num_steps = cells.values.shape[1]
    padding = torch.arange(num_steps) >= cells.lengths.unsqueeze(1)
    junk = cells.values.flatten()[torch.randint(cells.values.numel(), cells.values.shape)]
    junk = torch.where(padding.view(*padding.shape, *[1] * (cells.values.ndim - 2)), junk, cells.values)
    return Cells(junk, cells.lengths)
