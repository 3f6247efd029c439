"""How good the model of a run is: on its test rows, without some of its inputs, and beside the baselines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from polymodal.data.cells.loader import Loader
from polymodal.device import pick_device
from polymodal.evaluation.baselines import fit_baselines
from polymodal.evaluation.evaluate import EvaluatedRows, report
from polymodal.evaluation.robustness import (
    InputMasking,
    SubsetPredictions,
    measure_subsets,
    predict_subsets,
    subsets_of,
)
from polymodal.inference.forward import predict_loader
from polymodal.metrics.history import merged
from polymodal.metrics.results import Baselines, Report, Results, RowCounts, SubsetResults
from polymodal.metrics.rows import RowStatistics
from polymodal.models.ensemble import Ensemble
from polymodal.models.network import Network
from polymodal.pipeline.problem import Problem
from polymodal.pipeline.trainer import Trained

_MOST_INPUTS = 8  # that are hidden in turn after a training


@dataclass(frozen=True)
class Measurement:
    """Measures what came of a training.

    Attributes:
        problem: what was learned.
        trained: the models.
        full: also fit what the model has to beat, and hide its inputs in turn.
    """

    problem: Problem
    trained: Trained
    full: bool = True

    @cached_property
    def device(self) -> torch.device:
        """To compute on."""
        return pick_device(self.problem.config.device)

    def results(self) -> tuple[Results, EvaluatedRows | None]:
        """The figures, and what those of the model are about; None without rows to measure on."""
        split, network = self.problem.split, self.trained.network
        ensemble = network if isinstance(network, Ensemble) else None
        validation = self._validation()
        hidden = self._hidden(split.test if len(split.test) else self._known(split.validation)) if self.full else None
        test = self._test(hidden)
        measured = test or validation
        results = Results(
            validation=self._report(validation),
            test=self._report(test),
            subsets=None if hidden is None or measured is None else self._subsets(hidden, measured),
            baselines=self._baselines(self._known(split.test)) if self.full else Baselines(),
            rows=self._rows(),
            auxiliary_vote=0.0 if ensemble is None else float(ensemble.weight),
            temperature=1.0 if ensemble is None else float(ensemble.calibrator.value),
            best_epoch=merged(self.trained.histories.values()).best_epoch,
            warnings=(*self.problem.warnings, *self.trained.warnings),
        )
        return results, measured

    def _validation(self) -> EvaluatedRows | None:
        """The validation rows, by the model that did not learn from them."""
        first, rows = self.trained.first, self._known(self.problem.split.validation)
        if not len(rows):
            return None
        prediction = first.validation
        if prediction is None:
            prediction = predict_loader(first.network, self._loader(first.network, rows), self.device)
        return EvaluatedRows("validation", rows, prediction, self.problem.dataset.target(rows))

    def _hidden(self, rows: np.ndarray) -> SubsetPredictions | None:
        """Predictions of the final model without some of its inputs; not where there are many, or rows it knows.

        Its first subset is all inputs.
        """
        network, final = self.trained.network, self.trained.final
        if not len(rows) or not 1 < len(network.columns) <= _MOST_INPUTS:
            return None
        if final.fitted_on_validation and not len(self.problem.split.test):
            return None
        masking = InputMasking(subsets_of(tuple(network.columns), most=3))
        return predict_subsets(network, self._loader(network, rows).epoch(0), self.device, masking)

    def _test(self, hidden: SubsetPredictions | None) -> EvaluatedRows | None:
        """The test rows, by the final model, whose encoders have seen them already where inputs were hidden."""
        network, rows = self.trained.network, self.problem.split.test
        if not len(rows):
            return None
        if hidden is not None:
            prediction = hidden.subsets[tuple(network.columns)]
        else:
            prediction = predict_loader(network, self._loader(network, rows), self.device)
        return EvaluatedRows("test", rows, prediction, self.problem.dataset.target(rows))

    def _report(self, measured: EvaluatedRows | None) -> Report:
        if measured is None:
            return {}
        statistics = RowStatistics.of(self.problem.task, measured.prediction, measured.target, measured.rows)
        return report(statistics, seed=self.problem.config.seed)

    def _subsets(self, hidden: SubsetPredictions, measured: EvaluatedRows) -> SubsetResults:
        return measure_subsets(self.problem.task, hidden, measured.target, seed=self.problem.config.seed)

    def _baselines(self, test: np.ndarray) -> Baselines:
        return fit_baselines(
            self.problem.task,
            self.trained.dataset,
            inputs=self.trained.network.columns,
            train=self.trained.rows,
            test=test,
            seed=self.problem.config.seed,
        )

    def _rows(self) -> RowCounts:
        problem, split = self.problem, self.problem.split
        measured = np.concatenate([split.validation, split.test])
        return RowCounts(
            train=len(split.train),
            validation=len(split.validation),
            test=len(split.test),
            unknown_class=len(measured) - len(self._known(measured)),
            unlabelled=problem.unlabelled,
            dropped=problem.dropped,
            rejected_cells=len(problem.rejects),
            cleaned=sum(action.action == "drop" for action in problem.cleaned),
        )

    def _known(self, rows: np.ndarray) -> np.ndarray:
        """The rows whose target the task can encode: a class may be missing among the training rows."""
        return self.problem.dataset.known(rows)

    def _loader(self, network: Network, rows: np.ndarray) -> Loader:
        size = self.problem.config.train.batch_size or 1
        return self.trained.dataset.loader(rows, batch_size=size, columns=network.columns)
