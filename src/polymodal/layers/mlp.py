"""Multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from polymodal.layers.activation import ActivationName, activation


class MultiLayerPerceptron(nn.Module):
    """Blocks of Linear, LayerNorm, activation and dropout, one for each width.

    Args:
        width_in: D of what enters.
        widths: D after each block; the last one is the width of the result. None at all: what enters comes out.
        activation_name: after every block.
        dropout: probability, after every activation.
    """

    def __init__(
        self,
        width_in: int,
        widths: Sequence[int],
        *,
        activation_name: ActivationName = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.width = widths[-1] if widths else width_in
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Linear(before, after),
                    nn.LayerNorm(after),
                    activation(activation_name),
                    nn.Dropout(dropout),
                )
                for before, after in zip([width_in, *widths], widths, strict=False)
            )
        )

    def forward(self, values: Float[Tensor, "*rows D"]) -> Float[Tensor, "*rows E"]:
        result: Tensor = self.blocks(values)
        return result
