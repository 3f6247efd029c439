import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from polymodal.errors import ConfigError, DataError
from polymodal.layers.scores_head import ScoresHead
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Head, Task
from polymodal.tasks.classify import Classify
from polymodal.tasks.tag import Tag, TagConfig
from polymodal.types import Cells, Scores, Tokens

CELLS = [["red", "round"], ["red"], [], ["round", "red"], ["blue"]] * 2


def statistics(cells: object = None, **settings: object) -> dict:
    return Tag(TagConfig(**{"min_count": 1, **settings})).fit(CELLS if cells is None else cells, column="tags")


def fitted(cells: object = None, **settings: object) -> Tag:
    return Tag(TagConfig(min_count=1, **settings), statistics(cells))


def head(**settings: object) -> ScoresHead:
    torch.manual_seed(0)
    return fitted(**settings).head({"": 4}).eval()


def encode(task: Tag, cells: list[object]) -> Cells:
    return task.collate([task.encode(cell) for cell in cells])


def scores(values: torch.Tensor | list[list[float]]) -> Scores:
    values = torch.as_tensor(values)
    return Scores(values, torch.ones(len(values), dtype=torch.bool))


def test_keeps_the_protocols() -> None:
    assert isinstance(fitted(), Task)
    assert isinstance(head(), Head)


def test_labels_their_counts_and_shares() -> None:
    found = statistics([*CELLS, None])
    assert (found["classes"], found["counts"], found["rows"]) == (["blue", "red", "round"], [2, 6, 4], 10)
    assert found["prior"] == pytest.approx([2.5 / 11, 6.5 / 11, 4.5 / 11])


def test_an_empty_list_is_no_label_and_a_missing_cell_is_unknown() -> None:
    target = encode(fitted(), [[], None, math.nan, "", ["red", "new"]])
    assert target.present.tolist() == [True, False, False, False, True]
    assert target.values[0].tolist() == [0, 0, 0]
    assert target.values[4].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("cells", "sign"), [(["a|b, c", "a", "|"], "|"), (["a;b", "b ; a", "c"], ";"), (["a, b", "b,c", "c"], ",")]
)
def test_text_is_split_where_most_cells_are(cells: list[object], sign: str) -> None:
    found = statistics(cells)
    assert found["separator"] == sign
    assert fitted(cells).encode("a").tolist() == [float(name == "a") for name in found["classes"]]


def test_a_separator_alone_says_that_there_is_none() -> None:
    none = fitted(["a|b", "a"]).encode("|")
    assert none is not None and not none.any()


def test_the_separator_can_be_said() -> None:
    assert statistics(["a b|c", "a b"], separator=" ")["classes"] == ["a", "b", "b|c"]


def test_lists_are_joined_by_what_no_label_holds() -> None:
    found = statistics([["a|b", "c"], ["c"]])
    assert found["separator"] == ";"


def test_rare_labels_are_left_out_and_said() -> None:
    found = statistics(min_count=4)
    assert found["classes"] == ["red", "round"]
    assert found["notes"] == ["tags: 1 of 3 labels left out: fewer than 4 training rows have them"]
    assert statistics()["notes"] == []


def test_no_label_with_enough_rows() -> None:
    with pytest.raises(DataError, match=r"'tags' holds 3 labels, none of them in 7 rows.*Lower min_count"):
        statistics(min_count=7)
    with pytest.raises(DataError, match="no label"):
        Tag(TagConfig()).fit([None, []], column="tags")


def test_a_cell_that_is_no_list_names_the_column() -> None:
    with pytest.raises(DataError, match=r"'tags' holds 3\.5, which is neither a list"):
        statistics([3.5])
    with pytest.raises(DataError, match=r"'tags' holds 3\.5, which is neither a list"):
        fitted().encode(3.5)


@pytest.mark.parametrize(
    "cells",
    [
        CELLS,
        ["drama|war", "war", "comedy|drama", "comedy", "war|comedy", "drama"] * 4,
        ["red, round", "round, blue", "blue, red", "red, round, blue", "red"] * 3,
        ["smile|face|happy", "face|sad", "smile|cat|face", "cat|sad|animal", "animal|dog"],
    ],
)
def test_labels_are_recognised_before_classes(cells: list[object]) -> None:
    found, classes = Tag.recognise(cells), Classify.recognise(cells)
    assert found is not None
    assert classes is None or found.confidence > classes.confidence


@pytest.mark.parametrize(
    "cells",
    [
        ["yes", "no"] * 6,
        ["Paris, France", "Rome, Italy", "Bern, Switzerland"] * 5,
        ["Bern | Switzerland", "Rome | Italy"] * 6,
        ["a | b", "a"],
        ["pos", "neg", "pos", "neg,", "pos,", "neg", "pos."] * 9,
        ["red;", "blue;", "green;", "blue"] * 5,
        ["|a|", "|b|"] * 6,
        [1.5, 2.5],
        ["a long clause with words, and one more of them", "another clause that is long, and the end of it"] * 4,
        [[1.0, 2.0], [2.0, 3.0]],
        [None],
    ],
)
def test_others_are_not(cells: list[object]) -> None:
    assert Tag.recognise(cells) is None


def test_the_loss_is_the_sum_of_binary_cross_entropies() -> None:
    values = torch.randn(3, 3, requires_grad=True)
    target = encode(fitted(), [["blue", "round"], [], None])
    loss = head(label_smoothing=0.0).loss(scores(values), target)
    loss.sum().backward()
    truth, probability = target.values[:2], torch.sigmoid(values[:2].double())
    expected = -(truth * probability.log() + (1 - truth) * (1 - probability).log()).sum(dim=1)
    assert truth.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert loss.tolist() == pytest.approx([*expected.tolist(), 0.0], rel=1e-5)
    assert (values.grad != 0).any(dim=1).tolist() == [True, True, False]


def test_smoothing_moves_the_truth_towards_how_frequent_a_label_is() -> None:
    share = torch.tensor(statistics()["prior"])
    truth = 0.8 * torch.tensor([1.0, 0, 0]) + 0.2 * share
    loss = head(label_smoothing=0.2).loss(scores(torch.ones(1, 3)), encode(fitted(), [["blue"]]))
    expected = F.binary_cross_entropy_with_logits(torch.ones(3), truth, reduction="sum").item()
    assert loss.item() == pytest.approx(expected)


def test_class_weights() -> None:
    assert fitted(class_weight="balanced").positive.tolist() == pytest.approx([8 / 2, 4 / 6, 6 / 4])
    assert fitted(class_weight={"blue": 3.0}).positive.tolist() == [3, 1, 1]
    found, target = scores(torch.randn(2, 3)), encode(fitted(), [["blue"], ["red"]])
    plain, heavy = (head(label_smoothing=0.0, **weight).loss(found, target)
                    for weight in ({}, {"class_weight": {"blue": 3.0}}))  # fmt: skip
    of_blue = -F.logsigmoid(found.values[0, 0])
    torch.testing.assert_close(heavy - plain, torch.stack([2 * of_blue, torch.zeros(())]))
    with pytest.raises(ConfigError, match=r"'rde'.*Did you mean 'red'"):
        fitted(class_weight={"rde": 3.0})


def test_rows_with_nothing_get_how_frequent_each_label_is() -> None:
    with torch.no_grad():
        found = head().predict({"": Tokens(torch.randn(2, 1, 4), torch.tensor([[True], [False]]))})
    assert fitted().probabilities(found)[1] == pytest.approx(statistics()["prior"], rel=1e-5)


def test_decoding() -> None:
    task, logits = fitted(threshold=0.3), scores([[-0.5, 2.0, -2.0], [-2.0, -2.0, -2.0]])
    found = task.decode(logits)
    assert task.chosen(logits) == [["blue", "red"], []]
    assert found["prediction"].tolist() == ["blue|red", ""]
    assert found["p_red"] == pytest.approx(1 / (1 + np.exp([-2.0, 2.0])))
    assert list(found) == ["prediction", "p_blue", "p_red", "p_round"]


def test_metrics_leave_unknown_rows_out() -> None:
    task = fitted()
    target = encode(task, [["red"], None, ["blue"], []])
    logits = scores([[-3.0, 3, -3], [9, 9, 9], [3, -3, -3], [-3, -3, -3]])
    statistics = RowStatistics.of(task, logits, target)
    assert statistics.rows.tolist() == [0, 2, 3]
    measured = statistics.values()
    assert measured["micro_f1"] == 1
    assert {Tag.metric, Tag.monitor} <= set(measured) == set(Tag.greater_is_better)


def test_the_threshold_decides_what_is_predicted_and_measured() -> None:
    logits, target = scores([[-0.5, -2.0, -2.0]]), encode(fitted(), [["blue"]])
    assert RowStatistics.of(fitted(), logits, target).values()["micro_f1"] == 0
    assert RowStatistics.of(fitted(threshold=0.3), logits, target).values()["micro_f1"] == 1
    (outcome,) = fitted(threshold=0.3).outcomes(logits, target, np.array([4]), name="tags")
    assert outcome.predicted.tolist() == outcome.target.tolist() == [[True, False, False]]


def test_log_loss_is_the_mean_over_rows_and_labels() -> None:
    logits, target = scores(torch.randn(3, 3, dtype=torch.float64)), encode(fitted(), [["red"], [], ["blue", "round"]])
    expected = F.binary_cross_entropy_with_logits(logits.values, target.values).item()
    assert fitted().log_loss(logits, target) == pytest.approx(expected)
