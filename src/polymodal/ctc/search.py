"""The search for texts in the log-probabilities of a batch: prefix beam search, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polymodal.ctc.prefix_beam import Candidate, Guide, prefix_beam
from polymodal.types import Sequences


@dataclass(frozen=True)
class BeamSearch:
    """Prefix beam search with settings.

    Attributes:
        width: beginnings that are followed at a time.
        n_best: texts a row.
        never: ids that no text holds.
        guide: what is known of texts; where it lets none end, the text is the most probable one without it.
    """

    width: int = 16
    n_best: int = 1
    never: Sequence[int] = ()
    guide: Guide | None = None

    def __call__(
        self, log_probabilities: Float[Tensor, "B T V"], lengths: Int[Tensor, " B"], present: Bool[Tensor, " B"]
    ) -> Sequences:
        """The best texts of each row; a row that has fewer repeats its last one, one without sound has empty ones."""
        rows = log_probabilities.detach().double().cpu().numpy()
        found = [self._texts(row[:length]) for row, length in zip(rows, lengths.tolist(), strict=True)]
        longest = max([1, *(len(one.ids) for texts in found for one in texts)])
        ids = torch.zeros(len(found), self.n_best, longest, dtype=torch.long)
        sizes = torch.zeros(len(found), self.n_best, dtype=torch.long)
        scores = torch.zeros(len(found), self.n_best)
        for row, texts in enumerate(found):
            for place in range(self.n_best if texts else 0):
                one = texts[min(place, len(texts) - 1)]
                ids[row, place, : len(one.ids)] = torch.tensor(one.ids, dtype=torch.long)
                sizes[row, place], scores[row, place] = len(one.ids), one.log_probability
        device = log_probabilities.device
        return Sequences(ids.to(device), sizes.to(device), scores.to(device), present)

    def _texts(self, log_probabilities: Float[np.ndarray, "T V"]) -> list[Candidate]:
        if len(log_probabilities) == 0:
            return []
        search = partial(prefix_beam, log_probabilities, width=self.width, n_best=self.n_best, never=self.never)
        return search(guide=self.guide) or search()
