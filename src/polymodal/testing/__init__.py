"""Contract checks for authors of parts: what every modality, encoder, fusion and task must do.

    from polymodal.testing import check_fusion

    def test_gated():
        check_fusion("gated")

A part is given by its registered name or as its class. Each check raises AssertionError that says in words which rule
is broken, and returns nothing otherwise. The rules: masked positions have no influence, a row's result does not depend
on its batch, absent rows give finite values, every parameter is registered and gets a gradient whatever is absent, the
same weights give the same result, settings survive JSON.
"""

from __future__ import annotations

from polymodal.testing.encoder import check_encoder
from polymodal.testing.fusion import check_fusion
from polymodal.testing.modality import check_modality
from polymodal.testing.rules import sample_cells
from polymodal.testing.task import check_task

__all__ = ["check_encoder", "check_fusion", "check_modality", "check_task", "sample_cells"]
