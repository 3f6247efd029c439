"""Where a token stands, added to what it is; attention alone would not know."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

PositionsName = Literal["learned", "sinusoidal"]


class SinusoidalPositions(nn.Module):
    """Sines and cosines of every wavelength from 2 pi to 10,000 * 2 pi (Vaswani et al. 2017, section 3.5).

    Takes rows of any length, also longer than any in training.

    Args:
        width: D of the tokens.
        deviation: root mean square of what is added: that of the tokens, so that what and where weigh the same.
    """

    def __init__(self, width: int, *, deviation: float = math.sqrt(0.5)) -> None:
        super().__init__()
        self.width = width
        self.scale = deviation * math.sqrt(2.0)  # of a sine, the root mean square is 1 / sqrt(2)

    def forward(self, values: Float[Tensor, "B T D"], start: int = 0) -> Float[Tensor, "B T D"]:
        """With what is added; the first token stands at `start`."""
        steps = start + torch.arange(values.shape[1], device=values.device).unsqueeze(1)
        pairs = torch.arange(0, self.width, 2, device=values.device)
        angles = steps * torch.exp(pairs * (-math.log(10_000.0) / self.width))
        waves = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, : self.width]
        return values + self.scale * waves.to(values.dtype)


class SinusoidalGrid(nn.Module):
    """Sines and cosines of the row in one half of the features, of the column in the other (Chen et al. 2021,
    arXiv 2104.02057, section 6), for tokens that stand in a grid, row by row.

    Takes grids of any size.

    Args:
        width: D of the tokens; a multiple of 2.
        deviation: root mean square of what is added.
    """

    def __init__(self, width: int, *, deviation: float = math.sqrt(0.5)) -> None:
        super().__init__()
        self.axis = SinusoidalPositions(width // 2, deviation=deviation)

    def forward(self, values: Float[Tensor, "B T D"], num_columns: int | torch.SymInt) -> Float[Tensor, "B T D"]:
        grid = values[:1].view(1, -1, num_columns, values.shape[2])
        rows, columns = grid.chunk(2, dim=-1)  # 1 H W D/2 each
        down = self.axis(torch.zeros_like(rows[:, :, 0])).unsqueeze(2).expand_as(rows)
        right = self.axis(torch.zeros_like(columns[:, 0])).unsqueeze(1).expand_as(columns)
        return values + torch.cat([down, right], dim=-1).flatten(1, 2)


class LearnedPositions(nn.Module):
    """A learned vector for each position (Gehring et al. 2017, arXiv 1705.03122, section 3.1).

    Args:
        width: D of the tokens.
        max_steps: the longest row that it takes.
        deviation: of the first values.
    """

    def __init__(self, width: int, *, max_steps: int, deviation: float = 0.02) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(max_steps, width))
        nn.init.normal_(self.vectors, std=deviation)

    def forward(self, values: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return values + self.vectors[: values.shape[1]]
