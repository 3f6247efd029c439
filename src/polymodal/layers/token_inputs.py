"""Every input's tokens at one common width: where token fusions begin, and how they put tokens in one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polymodal.layers.pooling import masked_mean, zero_masked
from polymodal.layers.projection import input_names
from polymodal.types import Tokens

_DEVIATION = 0.02  # of learned vectors at first, as in ViT (Dosovitskiy et al. 2021)


class TokenInputs(nn.Module):
    """x_it = W_i LayerNorm_i(token t of input i) + e_i: "B T D" -> "B T E" for each input.

    e_i, one learned vector an input, says which input a token came from. Where in its input a token stands is what
    encoders say, if it matters.

    Args:
        widths: D of each input's tokens. The order does not matter.
        width: E, common to all.

    Attributes:
        names: of the inputs, sorted: the order of the result.

    Raises:
        ConfigError: no input at all.
    """

    def __init__(self, widths: Mapping[str, int], *, width: int) -> None:
        super().__init__()
        self.names = input_names(widths)
        # Lists: names of columns may hold dots or be `keys`, which nn.ModuleDict refuses.
        self.norms = nn.ModuleList(nn.LayerNorm(widths[name]) for name in self.names)
        # No bias: the embedding of the input is one.
        self.linears = nn.ModuleList(nn.Linear(widths[name], width, bias=False) for name in self.names)
        self.embeddings = learned_vectors(len(self.names), width)

    def forward(self, tokens: Mapping[str, Tokens]) -> list[Tokens]:
        """The inputs in the order of their names; what stands at masked positions is finite."""
        result = []
        for name, norm, linear, embedding in zip(self.names, self.norms, self.linears, self.embeddings, strict=True):
            model_input = tokens[name]
            values = linear(norm(zero_masked(model_input.values, model_input.mask))) + embedding
            result.append(replace(model_input, values=values))
        return result


def learned_vectors(count: int, width: int) -> nn.Parameter:
    """Learned vectors "count width", small and different at first."""
    return nn.Parameter(nn.init.normal_(torch.empty(count, width), std=_DEVIATION))


def in_one_row(inputs: Sequence[Tokens]) -> Tokens:
    """The tokens of all inputs one after the other. The mask is not left-aligned; see `left_aligned`."""
    return Tokens(
        torch.cat([model_input.values for model_input in inputs], dim=1),
        torch.cat([model_input.mask for model_input in inputs], dim=1),
    )


def with_first(vector: Float[Tensor, " D"], tokens: Tokens, *, always: bool = False) -> Tokens:
    """One more token, the same for all, before the others of each row that has any; `always`: of every row."""
    first = vector.expand(tokens.values.shape[0], 1, -1)
    real = (torch.ones_like(tokens.present) if always else tokens.present).unsqueeze(1)
    return Tokens(torch.cat([first, tokens.values], dim=1), torch.cat([real, tokens.mask], dim=1))


def left_aligned(tokens: Tokens) -> Tokens:
    """The same tokens in the same order, real ones first; zeros behind them."""
    num_steps = tokens.mask.shape[1]
    steps = torch.arange(num_steps, device=tokens.mask.device)
    # Every key is different: the sort need not be stable, which not every runtime's is.
    order = torch.argsort(steps + num_steps * ~tokens.mask, dim=1)
    mask = tokens.mask.gather(1, order)
    values = tokens.values.gather(1, order.unsqueeze(-1).expand_as(tokens.values))
    return Tokens(zero_masked(values, mask), mask)


def mean_of_present(
    vectors: Sequence[Float[Tensor, "*rows D"]], present: Bool[Tensor, "B M"]
) -> Float[Tensor, "*rows D"]:
    """Mean over the inputs that a row has; zeros where it has none.

    Args:
        vectors: of each input "B D", or "B T D".
        present: which inputs each row has.
    """
    stacked = torch.stack(list(vectors), dim=1)
    over = present.view(*present.shape, *[1] * (stacked.ndim - 2))
    # Through `where`: an absent input counts as nothing, and still is in the graph.
    total = torch.where(over, stacked, stacked.new_zeros(())).sum(dim=1)
    return total / over.sum(dim=1).clamp(min=1)


def mean_of_means(inputs: Sequence[Tokens]) -> Float[Tensor, "B D"]:
    """Mean over each input's tokens, then over the inputs that a row has: a long input does not outvote a short one."""
    present = torch.stack([model_input.present for model_input in inputs], dim=1)
    return mean_of_present([masked_mean(model_input.values, model_input.mask) for model_input in inputs], present)
