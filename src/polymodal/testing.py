"""Contract checks for authors of parts: what every modality, encoder, fusion and task must do.

    from polymodal.testing import check_fusion

    def test_gated():
        check_fusion("gated")

A part is given by its registered name or as its class. Each check raises AssertionError that says in words which rule
is broken, and returns nothing otherwise. The rules: masked positions have no influence, a row's result does not depend
on its batch, absent rows give finite values, every parameter is registered and gets a gradient whatever is absent, the
same weights give the same result, settings survive JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from polymodal import registry
from polymodal.build import build_encoder
from polymodal.contracts import (
    Settings,
    as_it_enters,
    check_config,
    check_gradients,
    check_preview,
    check_tokens,
    check_weights,
    expect,
    load,
    near,
    same_json,
    same_tokens,
    sample_cells,
    settings_of,
)
from polymodal.errors import UnreadableCellError
from polymodal.types import Cells, Head, Modality, Prediction, Recognition, Sample, Tokens

__all__ = ["check_encoder", "check_fusion", "check_modality", "check_task", "sample_cells"]


# ---------------------------------------------------------------------------------------------------- modalities


def check_modality(
    part: str | type, *, cells: Sequence[object] | None = None, settings: Settings | None = None
) -> None:
    """Checks one modality.

    Args:
        part: name or class.
        cells: at least three readable cells, all different; needed for modalities that are not Polymodal's own.
        settings: if the defaults do not suit.
    """
    cls = load("modalities", part)
    cells = sample_cells(cast(str, part)) if cells is None else cells
    config = check_config(cls, settings)
    unfitted: Modality = cls(config)
    expect(isinstance(unfitted, Modality), f"{cls.__name__} lacks an attribute of polymodal.types.Modality")
    heads = [cell[:64] if isinstance(cell, bytes) else None for cell in cells]
    recognition = cls.recognise(Sample(cells, heads, distinct=len(cells), present=len(cells)))
    if recognition is not None:
        _check_recognition(recognition)
    arrays = _check_reading(unfitted, cells)
    statistics = unfitted.fit(arrays)
    expect(same_json(unfitted.fit(arrays), statistics), "fit gives other statistics the second time")
    fitted: Modality = cls(config, json.loads(json.dumps(statistics)))
    _check_augment(fitted, arrays)
    _check_collate(fitted, arrays)
    check_preview(fitted, cells)


def _check_recognition(recognition: Recognition) -> None:
    expect(0 <= recognition.confidence <= 1, f"a confidence of {recognition.confidence} is not between 0 and 1")
    expect(bool(recognition.reason), "recognise gives no reason")


def _check_reading(modality: Modality, cells: Sequence[object]) -> list[np.ndarray]:
    arrays = [modality.read(cell) for cell in cells]
    expect(all(isinstance(array, np.ndarray) for array in arrays), "read gives something else than an array")
    kinds = {(array.dtype, array.ndim) for array in arrays}
    expect(len(kinds) == 1, f"read gives arrays of different dtype or number of axes: {kinds}")
    again = [modality.read(cell) for cell in cells]
    expect(all(map(np.array_equal, arrays, again)), "read gives another array the second time")
    expect(all(isinstance(modality.remark(cell), str | None) for cell in cells), "a remark is neither None nor words")
    try:
        modality.read(object())
    except UnreadableCellError:
        return arrays
    raise AssertionError("read takes an object of no known type; it must raise UnreadableCellError")


def _check_augment(modality: Modality, arrays: Sequence[np.ndarray]) -> None:
    for array in arrays:
        frozen = array.copy()
        frozen.flags.writeable = False  # as the memory-mapped store gives it
        first, second = (modality.augment(frozen, np.random.default_rng(7)) for _ in range(2))
        expect(np.array_equal(first, second), "augment gives different results from equal generators")
        alike = (first.dtype, first.ndim) == (array.dtype, array.ndim)
        expect(alike, "augment changes the dtype or the number of axes")


def _check_collate(modality: Modality, arrays: Sequence[np.ndarray]) -> None:
    rows: list[np.ndarray | None] = [None, *arrays, None]
    cells = modality.collate(rows)
    expect(len(cells.values) == len(cells.lengths) == len(rows), "collate does not give one row for each array")
    expect(cells.lengths.dtype == torch.int64, "lengths must be int64")
    expect(
        bool((cells.present == torch.tensor([row is not None for row in rows])).all()),
        "lengths must be 0 exactly where the cell is missing",
    )
    expect(bool(torch.isfinite(cells.values.float()).all()), "collate gives NaN or infinity")
    missing = modality.collate([None, None])
    expect(not bool(missing.present.any()) and len(missing.values) == 2, "collate fails where every cell is missing")
    alone = modality.collate([arrays[0]])
    expect(int(alone.lengths[0]) == int(cells.lengths[1]), "a row's length depends on its batch")
    features, part = modality.simple_features(rows), modality.simple_features(rows[:2])
    expect(features.shape[0] == len(rows), "simple_features does not give one row for each array")
    expect(features.shape[1:] == part.shape[1:], "the number of simple features depends on the rows")


# ------------------------------------------------------------------------------------------------------ encoders


def check_encoder(
    part: str | type,
    modality: str,
    *,
    settings: Settings | None = None,
    cells: Mapping[str, Sequence[object]] | None = None,
) -> None:
    """Checks one encoder.

    Args:
        part: name or class.
        modality: whose encoder it is: the folder of `encoders/`.
        settings: if the defaults do not suit, or are too large for a test.
        cells: at least three readable cells for each modality that is not Polymodal's own.
    """
    cls = load(f"encoders/{modality}", part)
    config = check_config(cls, settings)
    needs = cls.needs(config)
    expect(same_json(needs, json.loads(json.dumps(needs))), "needs must hold JSON values")
    names = _members(modality)
    columns = [_Column.fitted(name, (cells or {}).get(name), needs, encoder=cls) for name in names]

    def build(settings: Any, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return cast(nn.Module, build_encoder(cls, settings, [column.modality for column in columns]))

    encoder = build(config, 0)
    inputs = _rows_of(columns)
    tokens = _check_encoder_tokens(encoder, inputs)
    _check_rows_alone(encoder, columns, tokens)
    with_junk = encoder(*(_fill_padding(column) for column in inputs))
    expect(same_tokens(with_junk, tokens), "what lies behind the end of a cell changes the result")
    encoder.train()
    learns = check_gradients(encoder, lambda: encoder(*inputs).values)
    expect(bool(encoder.frozen) != learns, "`frozen` does not say whether a parameter learns")
    portable = json.loads(json.dumps(encoder.portable))
    rebuilt = build(settings_of(cls, portable), 1)
    check_weights(encoder, rebuilt, lambda module: module(*inputs).values)


def _members(modality: str) -> list[str]:
    """The modalities whose columns an encoder of this folder receives: those of a group, together."""
    grouped = [name for name in registry.names("modalities") if registry.load("modalities", name).group == modality]
    return grouped or [modality]


@dataclass(frozen=True)
class _Column:
    """A fitted modality and arrays, some of them missing where others can stand in for them."""

    modality: Modality
    arrays: list[np.ndarray | None]

    @classmethod
    def fitted(cls, name: str, cells: Sequence[object] | None, needs: Settings, *, encoder: type) -> _Column:
        modality_class = registry.load("modalities", name)
        config = settings_of(modality_class, needs)
        arrays = [modality_class(config).read(cell) for cell in (sample_cells(name) if cells is None else cells)]
        fitted = modality_class(config, modality_class(config).fit(arrays))
        return cls(as_it_enters(encoder, fitted), arrays)


def _rows_of(columns: list[_Column]) -> list[Cells]:
    """One `Cells` a column; of several columns each misses one row, but no row misses them all."""
    if len(columns) > 1:
        for row, column in enumerate(columns):
            column.arrays[row] = None
    return [column.modality.collate(column.arrays) for column in columns]


def _check_encoder_tokens(encoder: Any, inputs: list[Cells]) -> Tokens:
    encoder.eval()
    tokens = encoder(*inputs)
    check_tokens(tokens, num_rows=len(inputs[0].lengths), width=encoder.width)
    expect(bool(tokens.present.all()), "a row with a cell has no real token")
    expect(encoder.token_span is None or encoder.token_span > 0, "token_span is neither None nor above zero")
    expect(torch.equal(encoder(*inputs).values, tokens.values), "in eval the same cells give other tokens")
    return cast(Tokens, tokens)


def _check_rows_alone(encoder: nn.Module, columns: list[_Column], tokens: Tokens) -> None:
    """Collated alone, a row has less padding and no neighbours."""
    for row in range(len(tokens.mask)):
        alone = encoder(*(column.modality.collate([column.arrays[row]]) for column in columns))
        same = same_tokens(_cut(alone, 0), _cut(tokens, row))
        expect(same, f"row {row} alone gives another result than in its batch: rows mix, or padding shows")


def _fill_padding(cells: Cells) -> Cells:
    """The same cells with other values of the batch behind each row's end, where axis 1 is time."""
    if int(cells.lengths.max()) <= 1:
        return cells
    num_steps = cells.values.shape[1]
    padding = torch.arange(num_steps) >= cells.lengths.unsqueeze(1)
    junk = cells.values.flatten()[torch.randint(cells.values.numel(), cells.values.shape)]
    junk = torch.where(padding.view(*padding.shape, *[1] * (cells.values.ndim - 2)), junk, cells.values)
    return Cells(junk, cells.lengths)


# ------------------------------------------------------------------------------------------------------- fusions


def check_fusion(part: str | type, *, settings: Settings | None = None) -> None:
    """Checks one fusion, on three inputs of different width and length.

    Args:
        part: name or class.
        settings: if the defaults do not suit.
    """
    cls = load("fusions", part)
    config = check_config(cls, settings)
    widths = {"photo": 6, "note": 4, "voice": 5}

    def build(seed: int, names: Sequence[str] = tuple(widths)) -> nn.Module:
        torch.manual_seed(seed)
        fusion: nn.Module = cls(config, widths={name: widths[name] for name in names})
        return fusion

    fusion = build(0).eval()
    tokens = _fusion_tokens(widths)
    _check_fused(fusion, tokens)
    _check_fused_rows_alone(fusion, tokens)
    fusion.train()
    nobody = {**tokens, "note": tokens["note"].where_present(torch.zeros(_NUM_ROWS, dtype=torch.bool))}
    check_gradients(fusion, lambda: fusion(tokens).values)
    check_gradients(fusion, lambda: fusion(nobody).values, absent="one input is absent from the whole batch")
    check_weights(fusion, build(1), lambda module: module(tokens).values)
    reordered = build(2, ["voice", "note", "photo"]).eval()
    reordered.load_state_dict(fusion.state_dict())
    result = reordered({name: tokens[name] for name in ("note", "voice", "photo")})
    expect(same_tokens(result, fusion(tokens)), "the order in which inputs are given changes the result")
    single = build(3, ["note"]).eval()
    check_tokens(single({"note": tokens["note"]}), num_rows=_NUM_ROWS, width=cast(int, single.width))


_NUM_ROWS = 7


def _fusion_tokens(widths: Mapping[str, int]) -> dict[str, Tokens]:
    """Random tokens; the rows miss none, each one, each pair of the inputs ..., and the last row all of them."""
    generator = torch.Generator().manual_seed(0)
    tokens = {}
    for place, (name, width) in enumerate(widths.items()):
        num_steps = 1 + 2 * place
        lengths = torch.randint(1, num_steps + 1, (_NUM_ROWS,), generator=generator)
        lengths[1 + place] = 0
        lengths[5 if place else 4] = 0
        lengths[-1] = 0
        mask = torch.arange(num_steps) < lengths.unsqueeze(1)
        tokens[name] = Tokens(torch.randn(_NUM_ROWS, num_steps, width, generator=generator), mask)
    return tokens


def _check_fused(fusion: Any, tokens: dict[str, Tokens]) -> None:
    fused = fusion(tokens)
    check_tokens(fused, num_rows=_NUM_ROWS, width=fusion.width)
    expect(fusion.keeps_time or fused.mask.shape[1] == 1, "keeps_time is False, yet there are several tokens")
    present = torch.stack([of_input.present for of_input in tokens.values()]).any(dim=0)
    expect(torch.equal(fused.present, present), "a row must be present exactly where at least one input is")
    expect(torch.equal(fusion(tokens).values, fused.values), "in eval the same tokens give another result")
    loud = {
        name: Tokens(torch.where(t.mask.unsqueeze(-1), t.values, 1e3 * torch.randn_like(t.values)), t.mask)
        for name, t in tokens.items()
    }
    expect(same_tokens(fusion(loud), fused), "masked positions change the result: the mask of an input is ignored")


def _check_fused_rows_alone(fusion: nn.Module, tokens: dict[str, Tokens]) -> None:
    fused = fusion(tokens)
    for row in range(_NUM_ROWS):
        alone = fusion({name: _cut(of_input, row) for name, of_input in tokens.items()})
        same = same_tokens(_cut(alone, 0), _cut(fused, row))
        expect(same, f"row {row} alone gives another result than in its batch: rows mix, or padding shows")


def _cut(tokens: Tokens, row: int) -> Tokens:
    """One row without its padding."""
    num_steps = max(int(tokens.mask[row].sum()), 1)
    return Tokens(tokens.values[row : row + 1, :num_steps], tokens.mask[row : row + 1, :num_steps])


# --------------------------------------------------------------------------------------------------------- tasks


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
    _check_recognition(cls.recognise(best))
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
