"""What every task must do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from polymodal.contracts.rules import (
    Settings,
    check_config,
    check_gradients,
    check_recognition,
    check_weights,
    expect,
    load,
    near,
)
from polymodal.types import Head, Prediction, Tokens


def check_task(part: str | type, *, values: Sequence[object] | None = None, settings: Settings | None = None) -> None:
    """Checks one task.

    Args:
        part: name or class.
        values: a target column of at least four rows; None: words, numbers or lists of words, whichever the task
            recognises; of a task that recognises none, because it is only chosen by name, whole numbers.
        settings: if the defaults do not suit.
    """
    cls = load("tasks", part)
    config = check_config(cls, settings)
    values = _target_values(cls) if values is None else values
    statistics = json.loads(json.dumps(cls.fit_target([*values, None], column="target")))
    encoded = cls.encode_target([*values, None], statistics)
    expect(
        encoded.ndim in (1, 2) and len(encoded) == len(values) + 1,
        "encode_target does not give one number, or one row of numbers, for each row",
    )
    expect(
        bool(np.isnan(encoded[-1]).all() and np.isfinite(encoded[:-1]).all()),
        "NaN must stand exactly where the target is missing",
    )

    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        head: nn.Module = cls(config, width=5, statistics=statistics)
        return head

    head = build(0).eval()
    tokens = _task_tokens(len(values))
    target = torch.as_tensor(encoded[:-1], dtype=torch.float32)
    prediction = _check_prediction(head, tokens)
    _check_results(cast(Head, head), prediction, target)
    head.train()
    nobody = tokens.where_present(torch.zeros(len(values), dtype=torch.bool))
    check_gradients(head, lambda: cast(Head, head).loss(head(tokens), target))
    check_gradients(head, lambda: cast(Head, head).loss(head(nobody), target), absent="no row has any input")
    check_weights(head, build(1), lambda module: module(tokens).scores)


def _target_values(cls: Any) -> Sequence[object]:
    columns: list[list[object]] = [
        ["yes", "no", "maybe"] * 4,
        [0.5, 1.25, -3.0, 2.5, 7.75, 4.5] * 2,
        [["red", "round"], ["red"], []] * 6,
    ]
    known = [values for values in columns if cls.recognise(values) is not None]
    if not known:
        return [1, 2, 3, 2] * 3
    best = max(known, key=lambda values: float(cls.recognise(values).confidence))
    check_recognition(cls.recognise(best))
    return best


def _task_tokens(num_rows: int) -> Tokens:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 4, (num_rows,), generator=generator)
    lengths[-2:] = 0
    return Tokens(torch.randn(num_rows, 3, 5, generator=generator), torch.arange(3) < lengths.unsqueeze(1))


def _check_prediction(head: Any, tokens: Tokens) -> Prediction:
    prediction = cast(Prediction, head(tokens))
    scores = prediction.scores
    expect(scores.ndim == 2 and len(scores) == len(tokens.mask), "scores are not [rows, K]")
    expect(bool(torch.isfinite(scores).all()), "scores are not finite")
    expect(torch.equal(prediction.present, tokens.present), "`present` does not say which rows have a token")
    expect(torch.equal(scores[-2], scores[-1]), "rows with nothing present must get one and the same prior")
    expect(torch.equal(scores[-1], head.prior), "rows with nothing present must get `prior`")
    learned = {id(parameter) for parameter in head.readout.parameters()}
    expect(learned == {id(parameter) for parameter in head.parameters()}, "something learns outside of `readout`")
    loud = torch.where(tokens.mask.unsqueeze(-1), tokens.values, 1e3)
    expect(near(head(Tokens(loud, tokens.mask)).scores, scores), "masked positions change the scores")
    for row in range(len(scores)):
        alone = head(Tokens(tokens.values[row : row + 1], tokens.mask[row : row + 1])).scores
        expect(near(alone[0], scores[row]), f"row {row} alone gives other scores than in its batch")
    return prediction


def _check_results(head: Head, prediction: Prediction, target: Tensor) -> None:
    loss = head.loss(prediction, target)
    expect(loss.shape == target.shape[:1] and bool(torch.isfinite(loss).all()), "loss is not one finite number a row")
    scores = prediction.scores.detach().numpy()
    columns = head.decode(scores)
    expect("prediction" in columns, "decode gives no column `prediction`")
    expect(all(len(column) == len(scores) for column in columns.values()), "decode does not give one value a row")
    metrics = head.metrics(scores, target.numpy())
    expect(bool(metrics) and bool(np.isfinite(list(metrics.values())).all()), f"metrics are not finite: {metrics}")
