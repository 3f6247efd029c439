"""What every task must do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from polymodal.abilities import Confident, Explaining, Probabilistic, Scoring
from polymodal.errors import ConfigError
from polymodal.layers.scores_head import ScoresHead
from polymodal.metrics.bootstrap import repeated
from polymodal.metrics.direction import greater_is_better
from polymodal.protocols import Head, Needs, Prediction, Task
from polymodal.testing.rules import (
    Settings,
    check_gradients,
    check_recognition,
    check_weights,
    expect,
    fitted,
    load_checked,
    near,
    row_of,
    with_junk,
)
from polymodal.types import Cells, Scores, Sequences, Tokens

_WIDTH, _LONGEST = 5, 12
_COLUMNS = ("first", "second")
_UNTARGETED_ROWS = 10


def check_task(part: str | type, *, values: Sequence[object] | None = None, settings: Settings | None = None) -> None:
    """Checks one task, its head and its predictions.

    Args:
        part: name or class.
        values: a target column of at least four rows; None: words, numbers or lists of words, whichever the task
            recognises; of a task that recognises none, because it is only chosen by name, what its class gives by a
            class method `examples`, else whole numbers. A task without a target has none.
        settings: if the defaults do not suit. The columns that they may name are `first` and `second`.
    """
    cls, config = load_checked("tasks", part, settings)
    values = (_target_values(cls) if values is None else values) if cls.targeted else []
    expect(isinstance(cls(config), Task), f"{cls.__name__} lacks something that `protocols.Task` names")
    task: Task = fitted(cls, config, [*values, None] if cls.targeted else [], column="target")
    num_rows = len(values) or _UNTARGETED_ROWS
    target = _check_target(task, values) if cls.targeted else None
    widths = {side: _WIDTH + place for place, side in enumerate(_check_sides(task))}

    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        made: object = task.head(widths)
        if not (isinstance(made, nn.Module) and isinstance(made, Head)):
            raise AssertionError("a head is a module with loss and predict")
        return made

    head: Any = build(0).eval()
    tokens = _task_tokens(num_rows, widths)
    prediction = _check_prediction(head, tokens)
    _check_loss(head, tokens, target)
    scoring = isinstance(task, Scoring)
    expect(
        scoring == isinstance(prediction, Scores),
        "a task predicts Scores exactly where it has `meaning`, `prior`, `readout` and `criterion`",
    )
    if scoring:
        _check_scoring(task, head, tokens, target)
    with torch.no_grad():
        detached = head.predict(tokens).cpu()
    _check_results(task, detached, target)
    head.train()
    nobody = torch.zeros(num_rows, dtype=torch.bool)
    absent = {side: of_side.where_present(nobody) for side, of_side in tokens.items()}
    check_gradients(head, lambda: _loss(head, tokens, target))
    check_gradients(head, lambda: _loss(head, absent, target), absent="no row has any input")
    check_weights(head, build(1), lambda module: _flat(_predicted(module, tokens)))


def _target_values(cls: Any) -> Sequence[object]:
    columns: list[list[object]] = [
        ["yes", "no", "maybe"] * 4,
        [0.5, 1.25, -3.0, 2.5, 7.75, 4.5] * 2,
        [["red", "round"], ["red"], []] * 6,
    ]
    if hasattr(cls, "examples"):
        return list(cls.examples())
    known = [values for values in columns if cls.recognise(values) is not None]
    if not known:
        return [1, 2, 3, 2] * 3
    best = max(known, key=lambda values: float(cls.recognise(values).confidence))
    check_recognition(cls.recognise(best))
    return best


def _check_sides(task: Task) -> list[str]:
    sides = task.sides(_COLUMNS)
    expect(bool(sides) and all(sides.values()), "a task has at least one side, and each side a column")
    strange = {name for names in sides.values() for name in names} - set(_COLUMNS)
    expect(not strange, f"sides names columns that do not enter the model: {sorted(strange)}")
    expect(isinstance(task.needs(), Needs), "needs does not give `Needs`")
    return list(sides)


def _check_target(task: Task, values: Sequence[object]) -> Cells:
    """The encoded target of all values, which are known; a missing one is not."""
    arrays = [task.encode(value) for value in values]
    expect(task.encode(None) is None, "encode gives something for a missing value")
    known = [array for array in arrays if array is not None]
    expect(len(known) == len(arrays), "encode gives nothing for a value that `fit` has seen")
    expect(len({(array.dtype, array.ndim) for array in known}) == 1, "encode changes dtype or number of axes")
    every = [*arrays, None]
    target = task.collate(every)
    expect(len(target.values) == len(every), "collate does not give one entry a row")
    expect(bool(target.present[:-1].all()) and not bool(target.present[-1]), "length 0 must say: unknown, and only so")
    expect(bool(torch.isfinite(target.values.double()).all()), "a target is not finite: unknown is said by the length")
    alone = Cells.joined([task.collate([array]) for array in every])
    same = torch.equal(alone.values, target.values) and torch.equal(alone.lengths, target.lengths)
    expect(same, "collate gives another target for a row alone than among others")
    return target.rows(torch.arange(len(values)))


def _task_tokens(num_rows: int, widths: Mapping[str, int]) -> dict[str, Tokens]:
    """Fused tokens by side: the last two rows have none, and of several sides each lacks one row more."""
    tokens = {}
    for place, (side, width) in enumerate(widths.items()):
        generator = torch.Generator().manual_seed(place)
        lengths = torch.randint(_LONGEST // 2, _LONGEST + 1, (num_rows,), generator=generator)
        lengths[-2:] = 0
        if len(widths) > 1:
            lengths[place] = 0
        values = torch.randn(num_rows, _LONGEST, width, generator=generator)
        tokens[side] = Tokens(values, torch.arange(_LONGEST) < lengths.unsqueeze(1))
    return tokens


def _predicted(head: Any, tokens: Mapping[str, Tokens]) -> Prediction:
    prediction: Prediction = head.predict(tokens)
    return prediction


def _loss(head: Any, tokens: Mapping[str, Tokens], target: Cells | None) -> Tensor:
    loss: Tensor = head.loss(head(tokens, target, 0.5), target)
    return loss


def _alone(tokens: Mapping[str, Tokens], row: int) -> dict[str, Tokens]:
    return {side: row_of(of_side, row) for side, of_side in tokens.items()}


def _check_prediction(head: Any, tokens: Mapping[str, Tokens]) -> Prediction:
    prediction: Prediction = head.predict(tokens)
    expect(isinstance(prediction, Prediction), "predict gives no Prediction: present, rows, cpu and joined")
    num_rows = len(next(iter(tokens.values())).mask)
    present = torch.stack([of_side.present for of_side in tokens.values()]).any(dim=0)
    expect(torch.equal(prediction.present, present), "`present` does not say which rows have a token")
    for leaf in tree_leaves(prediction):
        expect(isinstance(leaf, Tensor) and len(leaf) == num_rows, "a prediction holds more than tensors, rows first")
        expect(bool(torch.isfinite(leaf.double()).all()), "a prediction is not finite")
    _check_selection(prediction)
    _check_prior(head, prediction)
    expect(_same(_predicted(head, with_junk(tokens)), prediction), "masked positions change the prediction")
    parts = [_predicted(head, _alone(tokens, row)) for row in range(num_rows)]
    for row, part in enumerate(parts):
        expect(_same(part, prediction.rows(torch.tensor([row]))), f"row {row} alone differs from itself in its batch")
    expect(_same(type(prediction).joined(parts), prediction), "joined does not put rows together again")
    return prediction


def _check_selection(prediction: Prediction) -> None:
    """Rows by number and by a mask, joined again, on the CPU: of every tensor the same."""
    numbers = torch.arange(len(prediction.present))
    for index in (numbers.flip(0)[::2], numbers % 2 == 0):
        chosen = tree_map(lambda leaf, index=index: leaf[index], prediction)
        expect(_same(prediction.rows(index), chosen), "rows does not select the same rows of every tensor")
    parts = [prediction.rows(numbers[:1]), prediction.rows(numbers[1:])]
    expect(_same(type(prediction).joined(parts), prediction), "joined does not put rows together again")
    expect(_same(prediction.cpu(), prediction), "cpu changes the prediction")
    half = tree_map(lambda leaf: leaf.half() if leaf.is_floating_point() else leaf, prediction).cpu()
    expect(not any(leaf.dtype == torch.half for leaf in tree_leaves(half)), "cpu leaves half precision as it is")


def _check_prior(head: Any, prediction: Prediction) -> None:
    """Rows with nothing present are predicted alike; scores are then the prior."""
    num_rows = len(prediction.present)
    last = [_flat(prediction.rows(torch.tensor([row]))) for row in (num_rows - 2, num_rows - 1)]
    expect(torch.equal(*last), "rows with nothing present must get one and the same prediction")
    if isinstance(prediction, Scores):
        expect(prediction.values.ndim == 2, "scores are not [rows, K]")
        prior = getattr(head, "prior", None)
        same = isinstance(prior, Tensor) and torch.equal(prediction.values[-1], prior)
        expect(same, "rows with nothing present must get `prior`")


def _check_loss(head: Any, tokens: Mapping[str, Tokens], target: Cells | None) -> None:
    output = head(tokens, target, 0.5)
    loss: Tensor = head.loss(output, target)
    num_rows = len(next(iter(tokens.values())).mask)
    for leaf in tree_leaves(output):
        expect(isinstance(leaf, Tensor) and len(leaf) == num_rows, "an output holds more than tensors, rows first")
    expect(loss.shape == (num_rows,) and bool(torch.isfinite(loss).all()), "loss is not one finite number a row")
    if target is not None:
        unknown = torch.arange(num_rows) % 2 == 0
        for hidden in (unknown, torch.ones_like(unknown)):
            partly = _loss(head, tokens, Cells(target.values, target.lengths.masked_fill(hidden, 0)))
            expect(not bool(partly[hidden].any()), "loss is not 0 where the target is unknown")
            kept = head.in_batch or near(partly[~hidden], loss[~hidden])
            expect(kept, "the loss of a row depends on whether the target of others is known")
    if head.in_batch:
        middle = num_rows // 2
        numbers = torch.arange(num_rows)
        halves = [
            head({side: Tokens(t.values[index], t.mask[index]) for side, t in tokens.items()},
                 None if target is None else target.rows(index), 0.5)
            for index in (numbers[:middle], numbers[middle:])
        ]  # fmt: skip
        joined = tree_map(lambda first, second: torch.cat([first, second]), *halves)
        expect(near(head.loss(joined, target), loss), "outputs of parts of a batch, joined, give another loss")
        return
    for row in range(num_rows):
        alone = _loss(head, _alone(tokens, row), None if target is None else target.rows(torch.tensor([row])))
        expect(near(alone, loss[row : row + 1]), f"the loss of row {row} depends on its batch: say so with `in_batch`")


def _check_scoring(task: Any, head: Any, tokens: Mapping[str, Tokens], target: Cells | None) -> None:
    """The head is that of its parts, which late fusion uses one by one; what the scores say is in range."""
    expect(isinstance(head, ScoresHead), "the head of a task that predicts Scores is no ScoresHead")
    learned = {id(parameter) for parameter in head.readout.parameters()}
    expect(learned == {id(parameter) for parameter in head.parameters()}, "something learns outside of `readout`")
    (of_side,) = tokens.values()
    parts = ScoresHead.of(task, of_side.width).eval()
    parts.load_state_dict(head.state_dict(), strict=False)
    same = _same(parts.predict(tokens), _predicted(head, tokens))
    expect(
        same and near(_loss(parts, tokens, target), _loss(head, tokens, target)),
        "the head is not that of `readout`, `criterion` and `prior`",
    )
    if target is None:
        return
    with torch.no_grad():
        scores = parts.predict(tokens)
    if isinstance(parts.criterion, Confident):
        confidence = parts.criterion.confidence(scores, target)
        expect(confidence.shape == target.lengths.shape, "confidence is not one number a row")
        expect(bool(((confidence >= 0) & (confidence <= 1)).all()), "confidence is not between 0 and 1")
    if isinstance(task, Probabilistic):
        expect(math.isfinite(task.log_loss(scores, target)), "log_loss is not a finite number")


def _check_results(task: Task, prediction: Prediction, target: Cells | None) -> None:
    num_rows = len(prediction.present)
    columns = task.decode(prediction)
    named = "prediction" in columns or any(name.startswith("prediction_") for name in columns)
    expect(named, "decode gives no column `prediction`, nor one `prediction_TARGET` for each of several targets")
    expect(all(len(column) == num_rows for column in columns.values()), "decode does not give one value a row")
    rows = task.rows(prediction, target)
    expect(all(len(array) == num_rows for array in rows.values()), "rows does not give one entry a row")
    ones = np.ones((1, num_rows))
    metrics = task.metrics(rows, ones)
    expect(task.metric in metrics and task.monitor in metrics, "metrics lack `metric` or `monitor`")
    expect(all(values.shape == (1,) for values in metrics.values()), "metrics are not one value for each weighting")
    expect(all(np.isfinite(values[0]) for values in metrics.values()), f"metrics are not finite: {metrics}")
    for name in metrics:
        try:
            greater_is_better(task.greater_is_better, name)
        except ConfigError as error:
            raise AssertionError(f"greater_is_better does not know the metric {name!r}") from error
    explained = set(task.metric_words) if isinstance(task, Explaining) else set()
    expect(explained <= set(task.greater_is_better), "metric_words explains metrics that the task does not have")
    _check_weights(task, rows, num_rows)


def _check_weights(task: Task, rows: Mapping[str, np.ndarray], num_rows: int) -> None:
    """Metrics for several weightings at once are those of rows that stand there so often."""

    def once(some: Mapping[str, np.ndarray]) -> dict[str, float]:
        counted = np.ones((1, len(next(iter(some.values())))))
        return {name: float(values[0]) for name, values in task.metrics(some, counted).items()}

    drawn = np.random.default_rng(0).integers(0, 3, size=(3, num_rows)).astype(float)
    weights = np.concatenate([np.ones((1, num_rows)), np.arange(num_rows)[None] % 2 + 1.0, drawn])
    expected = repeated(once, rows, weights)
    for name, values in task.metrics(rows, weights).items():
        expect(values.shape == (len(weights),), f"{name}: not one value for each weighting")
        same = name in expected and np.allclose(values, expected[name], equal_nan=True)
        expect(bool(same), f"{name}: a weight of 2 is not the row twice")


def _meant(prediction: Prediction) -> list[Tensor]:
    """The tensors of a prediction; of sequences without what stands behind their lengths."""
    if not isinstance(prediction, Sequences):
        return tree_leaves(prediction)
    longest = int(prediction.lengths.max())
    hidden = torch.arange(longest) >= prediction.lengths.unsqueeze(2)
    meant = [prediction.ids[:, :, :longest].masked_fill(hidden, -1), prediction.lengths, prediction.log_probability]
    if prediction.spans is not None:
        meant.append(prediction.spans[:, :, :longest].masked_fill(hidden.unsqueeze(3), -1))
    return [*meant, prediction.present]


def _same(first: Prediction, second: Prediction) -> bool:
    """Equal up to the tolerance, in all that means something."""
    pairs = list(zip(_meant(first), _meant(second), strict=True))
    return all(one.shape == other.shape and near(one.double(), other.double()) for one, other in pairs)


def _flat(prediction: Prediction) -> Tensor:
    """All numbers of a prediction that mean something, as one tensor: a row for each row."""
    leaves = _meant(prediction)
    return torch.cat([leaf.double().reshape(len(leaf), -1) for leaf in leaves], dim=1)
