"""What every encoder that keeps time must do: as many tokens as its cells are long, in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polymodal.abilities import Measuring
from polymodal.protocols import Modality
from polymodal.testing.rules import expect
from polymodal.types import Cells

_STRETCHES = 8  # of the cell, changed one after the other
_NEAR = 0.8  # correlation of where a token stands with where what changes it stands
_REACH = 0.1  # of the cell, by which what changes tokens moves from the first third of them to the last


def check_time(encoder: Any, modality: Modality, arrays: Sequence[np.ndarray | None]) -> None:
    """Checks what an encoder of one column says of time by `keeps_time` and `token_span`.

    It can tell the more, the longer the longest cell is: some ten tokens should fit into it.

    Args:
        encoder: in eval.
        modality: of its column, fitted.
        arrays: cells of it; how many seconds they last, `measures` of the modality says, if it can.
    """
    cells = modality.collate(arrays)
    row = int(cells.lengths.argmax())
    num_steps, seconds = int(cells.lengths[row]), _seconds(modality, arrays[row])
    if not encoder.keeps_time:
        expect(seconds is None or encoder.token_span is None, "tokens with a token_span in seconds must keep time")
        return
    expect(num_steps > 1, "keeps_time is True, yet there is no time along which its cells lie")
    if seconds and encoder.token_span is not None:
        _check_count(encoder, cells, num_steps / seconds)
    _check_order(encoder, Cells(cells.values[row : row + 1, :num_steps], cells.lengths[row : row + 1]))


def _seconds(modality: Modality, array: np.ndarray | None) -> float | None:
    """How long a cell lasts; None where the modality does not say."""
    return modality.measures(array).get("seconds") if isinstance(modality, Measuring) and array is not None else None


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
