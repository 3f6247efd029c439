"""One setting on every row."""

from __future__ import annotations

import json

import numpy as np
import pytest
from test_compare import ROWS, TINY, rows

import polymodal.comparison.cross_validation as validating
from polymodal.comparison.cross_validation import cross_validate
from polymodal.errors import DataError


def correct(scored):
    """Which rows of a fold are right: each by itself has an accuracy of 0 or 1."""
    found = scored.metrics(np.eye(len(scored.rows)))["accuracy"]
    assert set(found) <= {0.0, 1.0}
    return found


def test_it_is_the_mean_over_all_rows_of_models_trained_as_usual(monkeypatch):
    seen = []

    def watched(config, fold, **how):
        seen.append((config.train.final, run_trial(config, fold, **how)))
        return seen[-1][1]

    run_trial = validating.run_trial
    monkeypatch.setattr(validating, "run_trial", watched)
    found = cross_validate(rows(), "label", config=TINY, folds=2)
    assert [final for final, _ in seen] == [None] * 2  # what is usual is left to the defaults
    rows_of = [trial.scored for _, trial in seen]
    hits = [correct(of_fold) for of_fold in rows_of]
    assert sorted(row for of_fold in rows_of for row in of_fold.rows.tolist()) == list(range(ROWS))
    assert found.metrics["accuracy"].value == pytest.approx(np.concatenate(hits).mean())
    assert found.folds["accuracy"] == pytest.approx([of_fold.mean() for of_fold in hits])
    assert found.rows == ROWS and found.metric == "accuracy" and found.ended == "complete"
    assert "accuracy" in str(found)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["rows"] == ROWS


def test_a_budget_leaves_the_trainings_that_ended():
    class Short(validating.Clock):
        def check(self):
            if done:
                raise validating.OutOfTimeError

    done: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validating, "Clock", Short)
        found = cross_validate(rows(48), "label", config=TINY, folds=3, budget="1h", on_message=done.append)
    assert found.ended == "budget" and found.rows == 16
    assert found.notes == ("The budget ended it after 1 of 3 trainings.",)


def test_a_budget_too_small_for_one_training_is_an_error():
    with pytest.raises(DataError, match="No training ended within the budget"):
        cross_validate(rows(48), "label", config=TINY, folds=3, budget=0.001)
