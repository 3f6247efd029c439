"""How good the model of a run is: on its test rows, without some of its inputs, and beside the baselines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polymodal.data.cells.dataset import Loader
from polymodal.data.split.split import groups_of
from polymodal.device import pick_device
from polymodal.evaluation.baselines import Statistics, measure_baselines, predict_baselines
from polymodal.evaluation.evaluate import EvaluatedRows, report
from polymodal.evaluation.robustness import (
    InputMasking,
    SubsetPredictions,
    measure_subsets,
    predict_subsets,
    subsets_of,
)
from polymodal.evaluation.verdict import judge
from polymodal.inference.forward import loader_for, predict_loader
from polymodal.metrics.history import merged
from polymodal.metrics.results import Baselines, Report, Results, RowCounts
from polymodal.metrics.verdict import RunVerdict
from polymodal.models.budget import Budget
from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Network
from polymodal.pipeline.alerts import Measured
from polymodal.pipeline.problem import Problem
from polymodal.pipeline.trainer import Trained
from polymodal.protocols import Prediction

_MOST_INPUTS = 8  # that are hidden in turn after a training


@dataclass(frozen=True)
class Measurement:
    """Measures what came of a training; in `full`, also what the model has to beat, and how it does without inputs."""

    problem: Problem
    trained: Trained
    full: bool
    budget: Budget

    def results(self) -> tuple[Results, EvaluatedRows | None]:
        """The figures, and what those of the model are about; None without rows to measure on."""
        problem, trained, split = self.problem, self.trained, self.problem.split
        network, first, seed = trained.final.network, trained.first, problem.config.seed
        ensemble = network if isinstance(network, Ensemble) else None
        known = problem.dataset.known(split.validation)
        validation = self._evaluated("validation", first.network, known, first.validation)
        hidden = self._hidden(split.test if len(split.test) else known) if self.full else None
        # The encoders have seen the test rows already where inputs were hidden.
        seen = None if hidden is None else hidden.subsets[tuple(network.columns)]
        test = self._evaluated("test", network, split.test, seen)
        measured, subsets = test or validation, None
        if hidden is not None and measured is not None:
            subsets = measure_subsets(problem.task, hidden, measured.target, seed=seed)
        baselines, verdict = Baselines(), None
        interrupted = merged(trained.histories.values()).interrupted
        if self.full and (interrupted or self.budget.affords_baselines()):
            found = predict_baselines(
                problem.task,
                trained.dataset,
                inputs=network.columns,
                train=trained.rows,
                test=split.test,
                seed=seed,
            )
            baselines, verdict = measure_baselines(found, seed=seed), self._verdict(test, found)
        reports = self._report(validation), self._report(test)
        alerts = Measured(
            problem, *reports, baselines, subsets, num_validation=len(known),
            num_test=len(problem.dataset.known(split.test)),
        ).alerts()  # fmt: skip
        results = Results(
            validation=reports[0],
            test=reports[1],
            subsets=subsets,
            baselines=baselines,
            verdict=verdict,
            rows=self._rows(),
            ensemble={} if ensemble is None else self._weights(ensemble),
            input_tests=dict(problem.tests),
            temperature=1.0 if ensemble is None else float(ensemble.calibrator.value),
            best_epoch=merged(trained.histories.values()).best_epoch,
            warnings=(
                *(alert.text for alert in alerts),
                *problem.warnings,
                *trained.warnings,
                *(() if interrupted else self.budget.sentences()),
            ),
            alerts=alerts,
        )
        return results, measured

    def _evaluated(
        self, side: str, network: Network, rows: np.ndarray, prediction: Prediction | None
    ) -> EvaluatedRows | None:
        """Some rows with their predictions, made here unless they are given; None of no rows."""
        if not len(rows):
            return None
        if prediction is None:
            device = pick_device(self.problem.config.device)
            prediction = predict_loader(network, self._loader(network, rows), device)
        return EvaluatedRows(side, rows, prediction, self.problem.dataset.target(rows))

    def _hidden(self, rows: np.ndarray) -> SubsetPredictions | None:
        """Predictions of the final model without some of its inputs; not where there are many, or rows it knows.

        Its first subset is all inputs.
        """
        final = self.trained.final
        network = final.network
        if not len(rows) or not 1 < len(network.columns) <= _MOST_INPUTS:
            return None
        if final.fitted_on_validation and not len(self.problem.split.test):
            return None
        masking = InputMasking(subsets_of(tuple(network.columns), most=3))
        device = pick_device(self.problem.config.device)
        return predict_subsets(network, self._loader(network, rows).epoch(0), device, masking)

    def _verdict(self, test: EvaluatedRows | None, baselines: Statistics) -> RunVerdict | None:
        """The model against the best baseline; rows of one group are drawn together."""
        if test is None or not baselines:
            return None
        problem = self.problem
        units = groups_of(problem.table, problem.config.split)
        return judge(problem.task, test.statistics(problem.task), baselines, units, seed=problem.config.seed)

    def _weights(self, ensemble: Ensemble) -> dict[str, float]:
        """By member, its weight; without those that there was no time to fit, which leave theirs to the others."""
        weights, left_out = dict(zip(ensemble.names, ensemble.weights.tolist(), strict=True)), self.budget.left_out
        fitted = {name: weight for name, weight in weights.items() if name not in left_out}
        return weights if fitted == weights else {name: w / sum(fitted.values()) for name, w in fitted.items()}

    def _report(self, measured: EvaluatedRows | None) -> Report:
        if measured is None:
            return {}
        return report(measured.statistics(self.problem.task), seed=self.problem.config.seed)

    def _rows(self) -> RowCounts:
        """Where every row of the table went; the class of a measured one may be missing among the training rows."""
        problem, split, values = self.problem, self.problem.split, self.problem.values
        dropped = problem.dataset.prepared.dropped
        measured = np.concatenate([split.validation, split.test])
        return RowCounts(
            train=len(split.train),
            validation=len(split.validation),
            test=len(split.test),
            unknown_class=len(measured) - len(problem.dataset.known(measured)),
            unlabelled=0 if values is None else sum(value is None for value in values) - problem.unreadable_targets,
            unreadable_target=problem.unreadable_targets,
            dropped=len(dropped) if values is None else sum(values[row] is not None for row in dropped),
            rejected_cells=len(problem.rejects),
            cleaned=sum(action.action == "drop" for action in problem.cleaned),
        )

    def _loader(self, network: Network, rows: np.ndarray) -> Loader:
        size = self.problem.config.train.batch_size or 1
        return loader_for(network, self.trained.dataset, rows, batch_size=size)
