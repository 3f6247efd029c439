"""What a table's columns are: pure data, written to `schema.json` and checked when it is read back."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, JsonValue


class Record(BaseModel):
    """Pure data: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Record):
    """One column of the table.

    Attributes:
        kind: what it was found (or said) to be: a modality's name, or `boolean`, `identifier`, `constant`, `unknown`.
        modality: the modality that reads it; None where the column is left out.
        reason: why, in words a user can check.
        settings: the modality's settings, complete.
        statistics: what the modality learned from the training rows (vocabulary, mean, ...).
        features: None: cells enter the model as they are; else as handcrafted features, with what standardises them.
    """

    name: str
    kind: str
    modality: str | None
    reason: str
    settings: dict[str, JsonValue] = {}
    statistics: dict[str, JsonValue] = {}
    features: dict[str, JsonValue] | None = None


class Input(Record):
    """One column, or a group of columns, that enter the model through one encoder.

    Attributes:
        columns: their names, in the order in which the encoder receives them.
        modality: the folder of `encoders/` where the encoder is found.
        settings: the encoder's settings, complete.
        shares: the input whose encoder it is, weights and all; None: one of its own.
        side: of the task, whose tower it enters; most tasks have the side "" only.
    """

    name: str
    columns: tuple[str, ...]
    modality: str
    encoder: str
    settings: dict[str, JsonValue] = {}
    shares: str | None = None
    side: str = ""


class Target(Record):
    """What is predicted.

    Attributes:
        column: its name, or the names of several columns; none of a task without a target.
        statistics: what the task learned from the training rows (classes, prior, mean, ...).
    """

    column: str | tuple[str, ...]
    task: str
    settings: dict[str, JsonValue] = {}
    statistics: dict[str, JsonValue] = {}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are predicted: one or several."""
        return (self.column,) if isinstance(self.column, str) else self.column

    @property
    def name(self) -> str:
        """The column's name, or the names of all with commas between them."""
        return ", ".join(self.columns)


class Schema(Record):
    """Everything needed to turn a table of the same columns into batches, and predictions into words."""

    columns: tuple[Column, ...]
    inputs: tuple[Input, ...] = ()
    target: Target | None = None

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)

    def features(self) -> tuple[Column, ...]:
        """The columns that enter the model."""
        return tuple(column for column in self.columns if column.modality is not None)
