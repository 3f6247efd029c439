"""What every encoder must do: right tokens, and where it keeps time, as many as its cells are long, in their order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from polymodal import registry
from polymodal.abilities import Measuring, Spanning
from polymodal.models.build import build_encoder
from polymodal.protocols import Modality
from polymodal.testing.rules import (
    Settings,
    as_it_enters,
    check_gradients,
    check_rows_alone,
    check_tokens,
    check_weights,
    expect,
    load_checked,
    same_json,
    same_tokens,
    sample_cells,
    settings_of,
)
from polymodal.types import Cells, Tokens

_LONG = 3600.0  # seconds: longer than any token
_STRETCHES = 8  # of the cell, changed one after the other
_NEAR = 0.8  # correlation of where a token stands with where what changes it stands
_REACH = 0.1  # of the cell, by which what changes tokens moves from the first third of them to the last


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
    cls, config = load_checked(f"encoders/{modality}", part, settings)
    needs = cls.needs(config)
    expect(same_json(needs, json.loads(json.dumps(needs))), "needs must hold JSON values")
    # Columns of a group enter its encoder together.
    names = [name for name in registry.names("modalities") if registry.load("modalities", name).group == modality]
    columns = [_Column.fitted(name, (cells or {}).get(name), needs, encoder=cls) for name in names or [modality]]

    def build(settings: Any, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        made = build_encoder(cls, settings, [column.modality for column in columns])
        assert isinstance(made, nn.Module), "an encoder is an nn.Module"
        return made

    encoder = build(config, 0)
    inputs = _rows_of(columns)
    tokens = _check_encoder_tokens(encoder, inputs)
    if len(columns) == 1:
        _check_time(encoder, columns[0].modality, columns[0].arrays)
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


def _check_time(encoder: Any, modality: Modality, arrays: Sequence[np.ndarray | None]) -> None:
    """Checks what an encoder of one column says of time by `keeps_time` and `token_span`.

    It can tell the more, the longer the longest cell is: some ten tokens should fit into it.
    """
    cells = modality.collate(arrays)
    row = int(cells.lengths.argmax())
    num_steps, array, seconds = int(cells.lengths[row]), arrays[row], None
    if isinstance(modality, Measuring) and array is not None:
        seconds = modality.measures(array).get("seconds")
    if not encoder.keeps_time:
        expect(seconds is None or encoder.token_span is None, "tokens with a token_span in seconds must keep time")
        return
    expect(num_steps > 1, "keeps_time is True, yet there is no time along which its cells lie")
    if seconds and encoder.token_span is not None:
        _check_count(encoder, cells, num_steps / seconds)
    _check_order(encoder, Cells(cells.values[row : row + 1, :num_steps], cells.lengths[row : row + 1]))


def _check_count(encoder: Any, cells: Cells, rate: float) -> None:
    """As many tokens as there are spans in a cell, up to two: a network may leave out the last, unfinished ones."""
    count, seconds = encoder(cells).mask.sum(dim=1), cells.lengths / rate
    off = (count * encoder.token_span - seconds).abs()
    worst = int(off.argmax())
    expect(
        bool((off <= 2 * encoder.token_span).all()),
        f"{int(count[worst])} tokens, of {encoder.token_span:g} seconds each by token_span, for a cell of "
        f"{float(seconds[worst]):g} seconds",
    )


def _check_order(encoder: Any, cell: Cells) -> None:
    """The later a token stands, the later in the cell stands what changes it.

    Recurrent and transformer encoders let every token hear all of a cell, but at first, with weights at random, what is
    near more than what is far.
    """
    places = _places_heard(encoder, cell)
    if len(places) < 2:
        return
    nearness = float(torch.corrcoef(torch.stack([places, torch.arange(len(places)).double()]))[0, 1])
    third = -(-len(places) // 3)
    reach = float(places[-third:].mean() - places[:third].mean())
    expect(
        nearness >= _NEAR and reach >= _REACH,
        "keeps_time is True, yet its tokens do not follow the order of time: the places at which a cell changes them "
        f"have a correlation of {nearness:.2f} with their own, and move by {reach:.2f} of the cell from first to last",
    )


def _places_heard(encoder: Any, cell: Cells) -> Float[Tensor, " T"]:
    """For each token the mean place in the cell, 0 to 1, of changes that show in it, weighted by how much they do."""
    num_steps = int(cell.lengths)
    bounds = torch.linspace(0, num_steps, min(_STRETCHES, num_steps) + 1).long().tolist()
    middles, shows = [], []
    with torch.no_grad():
        before = encoder(cell)
        for start, stop in pairwise(bounds):
            after = encoder(_changed(cell, start, stop))
            middles.append((start + stop) / 2 / num_steps)
            shows.append((after.values - before.values)[0][before.mask[0]].double().norm(dim=1))
    amounts = torch.stack(shows)  # of each stretch, T
    return torch.tensor(middles).double() @ amounts / amounts.sum(dim=0).clamp(min=1e-12)


def _changed(cell: Cells, start: int, stop: int) -> Cells:
    """The cell with other values of its own in a stretch: as loud, as bright, but others."""
    values = cell.values.clone()
    stretch = values[:, start:stop]
    generator = torch.Generator().manual_seed(start)
    values[:, start:stop] = cell.values.flatten()[
        torch.randint(cell.values.numel(), stretch.shape, generator=generator)
    ]
    return Cells(values, cell.lengths)
