"""Media that stand on both sides of the split: the model is measured on pictures that it has learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from polymodal import registry
from polymodal.data.cells.store import Store
from polymodal.data.split.split import Split
from polymodal.metrics.alerts import Alert
from polymodal.schema import Column

_MOSTLY_DIFFERENT = 0.5  # a column whose media repeat more than this shows kinds of things, not single ones
_SHARE = 0.02  # of the test rows: less does not move a figure


def shared_media(columns: tuple[Column, ...], stores: Mapping[str, Store], split: Split) -> Iterator[Alert]:
    """One alert for each column of which many test rows hold the same medium as a row that is learned from.

    Args:
        columns: of the schema.
        stores: what was read of them.
        split: of the rows.
    """
    learned, asked = np.concatenate([split.train, split.validation]), split.test
    for column in columns:
        if column.modality is None or not registry.load("modalities", column.modality).media or not len(asked):
            continue
        numbers = stores[column.name].numbers
        there = numbers[np.concatenate([learned, asked])]
        there = there[there >= 0]
        if not len(there) or len(np.unique(there)) < _MOSTLY_DIFFERENT * len(there):
            continue
        known = numbers[learned]
        count = int(np.isin(numbers[asked], known[known >= 0]).sum())
        if count >= max(2, _SHARE * len(asked)):
            text = (
                f"{column.name}: {count:,} of {len(asked):,} test rows hold the same file as a row that was learned "
                "from. If such rows are of one thing, give them one side: --group COLUMN."
            )
            yield Alert(kind="duplicates", columns=(column.name,), text=text)
