"""The figures that a model comes with: what `metrics.json` of a bundle holds, checked when it is read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pydantic import ConfigDict, Field, JsonValue, model_serializer, model_validator

from polymodal.metrics.alerts import Alert
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.verdict import RunVerdict
from polymodal.schema import Record

Report: TypeAlias = dict[str, Interval]
"""By metric, its value with a 95 % interval."""


class _Sparse(Record):
    """A record that leaves out what was never measured when it is written."""

    @model_serializer(mode="wrap")
    def _written(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        found = write(self)
        return {
            field.alias or name: found[name]
            for name, field in type(self).model_fields.items()
            if name in self.model_fields_set and getattr(self, name) is not None
        }


class RowCounts(Record):
    """Where every row of the table went, and how many cells could not be read.

    Attributes:
        unknown_class: of validation and test, not measured, because no training row has their class.
        unlabelled: left out for want of a target.
        unreadable_target: left out because their target could not be read.
        dropped: left out because of a cell that could not be read.
        cleaned: left out by `clean`.
    """

    train: int = 0
    validation: int = 0
    test: int = 0
    unknown_class: int = 0
    unlabelled: int = 0
    unreadable_target: int = 0
    dropped: int = 0
    rejected_cells: int = 0
    cleaned: int = 0

    @model_serializer(mode="wrap")
    def _written(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        found = write(self)
        if not self.unreadable_target:  # rare; most records are as those of earlier versions
            del found["unreadable_target"]
        return found


class Baselines(Record):
    """What the model has to beat, on the same rows; in the file one report by name, and `linear_by_input`.

    Attributes:
        reports: by name, such as `majority`, `linear` or `gradient_boosting`: those that use all inputs, or none.
        linear_by_input: a linear model on handcrafted features of each input alone.
    """

    reports: dict[str, Report] = Field({})
    linear_by_input: dict[str, Report] = Field({})

    @property
    def shown(self) -> dict[str, Report]:
        """The reports, by names as people write them: `gradient boosting`."""
        return {name.replace("_", " "): report for name, report in self.reports.items()}

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "reports" in values:
            return values
        reports = {name: report for name, report in values.items() if name != "linear_by_input"}
        return {"reports": reports, "linear_by_input": values.get("linear_by_input", {})}

    @model_serializer(mode="wrap")
    def _flat(self, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        found = write(self)
        alone = {"linear_by_input": found["linear_by_input"]} if self.linear_by_input else {}
        return {**found["reports"], **alone}


class SubsetResult(Record):
    """The model with some inputs only.

    Attributes:
        change: of the first metric, from what all inputs give; None for all inputs, and where it is undefined.
    """

    inputs: tuple[str, ...]
    metrics: Report
    change: Interval | None


class MaskedResult(Record):
    """The model with each input of a row masked at random, at one rate; its metrics are over all draws."""

    rate: float
    metrics: Report


class SubsetResults(Record):
    """How well the model does without some of its inputs.

    Attributes:
        subsets: of the inputs; the first is all of them.
        masked: by growing rate.
    """

    metric: str
    subsets: tuple[SubsetResult, ...] = ()
    masked: tuple[MaskedResult, ...] = ()


class InputTest(Record):
    """What the training rows say of one input, by permutation tests.

    Attributes:
        p_value: of the null hypothesis that it is independent of the target.
        p_together: of the null hypothesis that it has no interaction with another input; None where the first was
            rejected.
        useful: one of them is rejected, at a controlled false discovery rate over all inputs, and it is no copy.
        copy_of: the input that has the same cells in every training row; the figures are of that input.
    """

    p_value: float
    p_together: float | None
    useful: bool
    copy_of: str | None = None


class UpdateRows(_Sparse):
    """Where the new rows of an update went, and the old ones: `replayed` were learned from again.

    Rows that were held out were measured; `seen` counts new rows that the model had learned from before.
    """

    learned: int = 0
    held_out: int = 0
    replayed: int = 0
    old_held_out: int = 0
    unlabelled: int = 0
    dropped: int = 0
    seen: int = 0


class BeforeAfter(Record):
    """Every metric of some rows before and after an update; empty where there were none."""

    before: Report = Field({})
    after: Report = Field({})


class UpdateResults(_Sparse):
    """What one update taught the model.

    Attributes:
        metric: the task's first.
        new: of the new rows that were held out.
        old: of the old ones.
        times: calls of `partial_fit` that it stands for; such calls measure nothing.
        settings: of the update, with the learning rate.
    """

    metric: str
    rows: UpdateRows
    new: BeforeAfter = BeforeAfter()
    old: BeforeAfter = BeforeAfter()
    times: int | None = None
    settings: dict[str, JsonValue]


class Results(_Sparse):
    """Everything that was measured of a model, and counted on the way to it.

    Attributes:
        validation: of the model that did not learn from the validation rows.
        test: of the final model.
        verdict: the model against the best baseline; None without test rows or baselines.
        ensemble: weight of each member of the ensemble; empty of models that are none.
        input_tests: by input, also of those that were left out of the model; empty where none was tested.
        temperature: by which scores are divided.
        best_epoch: whose weights were kept, counted over all trainings.
        warnings: what the user should hear of the data and the training, the alerts first; `notes` in the file.
        alerts: those of them that stand at the top, with their kind and their columns.
    """

    model_config = ConfigDict(populate_by_name=True)

    validation: Report = Field({})
    test: Report = Field({})
    subsets: SubsetResults | None = None
    baselines: Baselines = Baselines()
    verdict: RunVerdict | None = None
    rows: RowCounts = RowCounts()
    ensemble: dict[str, float] = Field({})
    input_tests: dict[str, InputTest] = Field({})
    temperature: float = 1.0
    best_epoch: int | None = None
    warnings: tuple[str, ...] = Field((), alias="notes")
    alerts: tuple[Alert, ...] = ()
    updates: tuple[UpdateResults, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """The warnings that are no alerts."""
        return self.warnings[len(self.alerts) :]

    @property
    def side(self) -> str:
        """Where the model was measured: on the `test` rows, else on those of `validation`."""
        return "test" if self.test else "validation"

    @property
    def measured(self) -> Report:
        """The figures to look at: over the test rows, else over the validation rows."""
        return self.test or self.validation
