"""Predictors that scikit-learn fits, by name: what a branch, or the top of a model, may be instead of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, PositiveFloat

from polymodal.abilities import Scoring
from polymodal.config.node import short_for
from polymodal.errors import ConfigError
from polymodal.stages._given import Given
from polymodal.stages._machines import KernelMachine, LinearMachine, Machine
from polymodal.stages._solvers import Buffers, TrainingArrays, logistic, ridge, svm, svm_rbf


@dataclass(frozen=True)
class PredictorKind:
    """What one predictor is.

    Attributes:
        machine: holds what was fitted; None: layers, which are trained as other layers are.
        solve: training arrays and the inverse strength of the penalty -> buffers of the machine.
        c: that strength, where nobody says it.
        predicts_numbers: beside classes and labels.
    """

    machine: type[Machine] | None
    solve: Callable[[TrainingArrays, float], Buffers] | None = None
    c: float = 1.0
    predicts_numbers: bool = True


_PREDICTORS: Mapping[str, PredictorKind] = {
    "logistic": PredictorKind(LinearMachine, logistic, c=20.0, predicts_numbers=False),
    "ridge": PredictorKind(LinearMachine, ridge),
    "svm": PredictorKind(LinearMachine, svm),
    "svm_rbf": PredictorKind(KernelMachine, svm_rbf, c=10.0),
    "given": PredictorKind(Given),
    "mlp": PredictorKind(machine=None),
}


@dataclass(frozen=True)
class PredictorConfig:
    """One predictor and its setting.

    Attributes:
        name: `logistic` regression (of classes and labels), `ridge` regression, `svm` (linear), `svm_rbf`; `mlp`:
            layers that are trained, on top of fused features only; `given`: an estimator that Python hands over.
        c: inverse strength of the penalty, for features whose rows have the mean square one; None: 20 for `logistic`,
            10 for `svm_rbf`, else 1.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: Literal["logistic", "ridge", "svm", "svm_rbf", "mlp", "given"] = "logistic"
    c: PositiveFloat | None = None

    def check(self, where: str, *, numbers: bool) -> None:
        """Raises ConfigError where it does not suit scores that are numbers."""
        if numbers and not _PREDICTORS[self.name].predicts_numbers:
            raise ConfigError(f"{where}: logistic regression predicts classes, and the target is a number. Use ridge.")

    @property
    def has_layers(self) -> bool:
        """It is trained, in place of being fitted by scikit-learn."""
        return _PREDICTORS[self.name].machine is None

    def machine(self, width: int, task: Scoring) -> Machine:
        """The module that it becomes, not yet fitted, for features of that width."""
        kind = _PREDICTORS[self.name].machine
        assert kind is not None, "layers are no machine"
        return kind(width, task.meaning, task.prior)

    def fit(self, machine: Machine, data: TrainingArrays) -> None:
        """Puts what it learns into its machine."""
        kind = _PREDICTORS[self.name]
        assert kind.solve is not None, "others are fitted elsewhere"
        machine.put(**kind.solve(data, self.c or kind.c))


PredictorField = Annotated[PredictorConfig, short_for("name")]
