"""What is saved with a model beside what it needs: the node `bundle` of a configuration."""

from __future__ import annotations

from polymodal.config.node import Settings


class BundleConfig(Settings):
    """What a bundle holds beside the model.

    Attributes:
        row_hashes: a keyed hash of every row that was learned from, so that `evaluate` and `update` know these rows.
            Whoever has the bundle and a whole row can tell whether it was learned from; `false` leaves them out.
    """

    row_hashes: bool = True
