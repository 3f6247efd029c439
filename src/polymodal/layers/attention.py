"""Multi-head attention over padded rows, exportable: masked steps have no influence."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional


class MultiHeadAttention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762, section 3.2).

    Self-attention where queries and memory are the same tokens, cross-attention where they are not.

    Args:
        width: of queries, memory and result; a multiple of `num_heads`.
        num_heads: parts of the width that attend each for itself.
        dropout: probability with which an attention weight is dropped in training.

    Raises:
        ValueError: the width is no multiple of the number of heads.
    """

    def __init__(self, width: int, *, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"width must be a multiple of the number of heads; got {width} and {num_heads}")
        self.num_heads = num_heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        # No bias: it would add the same to every score of a query, which the softmax takes away again.
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self, queries: Float[Tensor, "B Q D"], memory: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B Q D"]:
        """What each query gathers from the real steps of its row; from a row without any, zeros before `out`.

        Args:
            queries: one result each.
            memory: keys and values are made from it; masked steps may hold anything that is finite.
            mask: real steps of the memory.
        """
        present = mask.any(dim=1)
        # A softmax over nothing is NaN in some kernels: such rows attend to all, and what they find is dropped.
        allowed = (mask | ~present.unsqueeze(1))[:, None, None, :]
        gathered = functional.scaled_dot_product_attention(
            self._heads(self.query(queries)),
            self._heads(self.key(memory)),
            self._heads(self.value(memory)),
            attn_mask=allowed,
            dropout_p=self.dropout if self.training else 0.0,
        )
        gathered = torch.where(present[:, None, None, None], gathered, gathered.new_zeros(()))
        result: Tensor = self.out(gathered.transpose(1, 2).flatten(2))
        return result

    def _heads(self, values: Float[Tensor, "B T D"]) -> Float[Tensor, "B M T W"]:
        """Each head's share of the width, one of M heads: the layout that torch's attention takes."""
        return values.view(*values.shape[:2], self.num_heads, -1).transpose(1, 2)
