"""What a run may change in the data, where its user asks for it."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from polymodal.config.node import Settings


class CleanConfig(Settings):
    """What is changed in the data before the model learns; nothing, unless asked. Each change is written down.

    Rows are dropped from training only; what fills or clips a cell is learned from the training rows and is the same at
    predict. A column's own settings go first: `columns.price.modality.missing=median`.

    Attributes:
        duplicates: `drop` learns from equal rows (every feature and the target) once, and not from rows that equal a
            test row.
        missing: `drop` takes training rows with a missing feature out; `mean` and `median` fill columns of numbers,
            `mode` (the commonest cell) and `constant` those of categories, too; other columns stay as they are.
        value: what `constant` fills in: a number fills columns of numbers, a word those of categories.
        outliers: of numbers, beyond 3 interquartile ranges from the quartiles of the training rows: `clip` moves them
            to that bound, `drop` takes their training rows out.
    """

    duplicates: Literal["keep", "drop"] = "keep"
    missing: Literal["leave", "drop", "mean", "median", "mode", "constant"] = "leave"
    value: float | str | None = None
    outliers: Literal["leave", "clip", "drop"] = "leave"

    @model_validator(mode="after")
    def _has_value(self) -> CleanConfig:
        if (self.missing == "constant") != (self.value is not None):
            raise ValueError("missing=constant and value go together: value is what is filled in")
        return self
