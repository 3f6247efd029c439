import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from polymodal.errors import ConfigError, DataError
from polymodal.tasks.classify import Classify
from polymodal.tasks.tag import Tag, TagConfig
from polymodal.types import Head, Prediction, Tokens

CELLS = [["red", "round"], ["red"], [], ["round", "red"], ["blue"]] * 2
ANY = TagConfig(min_count=1)


def statistics(cells: object = None, **settings: object) -> dict:
    return Tag.fit_target(CELLS if cells is None else cells, column="tags", config=TagConfig(min_count=1, **settings))


def head(**settings: object) -> Tag:
    torch.manual_seed(0)
    return Tag(TagConfig(min_count=1, **settings), width=4, statistics=statistics()).eval()


def test_is_a_head() -> None:
    assert isinstance(head(), Head)


def test_labels_their_counts_and_shares() -> None:
    found = statistics([*CELLS, None])
    assert (found["classes"], found["counts"], found["rows"]) == (["blue", "red", "round"], [2, 6, 4], 10)
    assert found["prior"] == pytest.approx([2.5 / 11, 6.5 / 11, 4.5 / 11])


def test_fault_16_an_empty_list_is_no_label_and_a_missing_cell_is_unknown() -> None:
    target = Tag.encode_target([[], None, math.nan, "", ["red", "new"]], statistics())
    assert target[0].tolist() == [0, 0, 0]
    assert np.isnan(target[1:4]).all()
    assert target[4].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("cells", "sign"), [(["a|b, c", "a", "|"], "|"), (["a;b", "b ; a", "c"], ";"), (["a, b", "b,c", "c"], ",")]
)
def test_text_is_split_where_most_cells_are(cells: list[object], sign: str) -> None:
    found = statistics(cells)
    assert found["separator"] == sign
    assert Tag.encode_target(["a"], found)[0].tolist() == [float(name == "a") for name in found["classes"]]


def test_a_separator_alone_says_that_there_is_none() -> None:
    assert not Tag.encode_target(["|"], statistics(["a|b", "a"])).any()


def test_the_separator_can_be_said() -> None:
    assert statistics(["a b|c", "a b"], separator=" ")["classes"] == ["a", "b", "b|c"]


def test_lists_are_joined_by_what_no_label_holds() -> None:
    found = statistics([["a|b", "c"], ["c"]])
    assert found["separator"] == ";"


def test_rare_labels_are_left_out_and_said() -> None:
    found = Tag.fit_target(CELLS, column="tags", config=TagConfig(min_count=4))
    assert found["classes"] == ["red", "round"]
    assert found["remarks"] == ["tags: 1 of 3 labels left out: fewer than 4 training rows have them"]
    assert statistics()["remarks"] == []


def test_fault_17_no_label_with_enough_rows() -> None:
    with pytest.raises(DataError, match=r"'tags' holds 3 labels, none of them in 7 rows.*Lower min_count"):
        Tag.fit_target(CELLS, column="tags", config=TagConfig(min_count=7))
    with pytest.raises(DataError, match="no label"):
        Tag.fit_target([None, []], column="tags")


def test_fault_20_a_cell_that_is_no_list_names_the_column() -> None:
    with pytest.raises(DataError, match=r"'tags' holds 3.5, which is neither a list"):
        statistics([3.5])


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
        [1.5, 2.5],
        ["a long clause with words, and one more of them", "another clause that is long, and the end of it"] * 4,
        [[1.0, 2.0], [2.0, 3.0]],
        [None],
    ],
)
def test_others_are_not(cells: list[object]) -> None:
    assert Tag.recognise(cells) is None


def test_the_loss_is_the_sum_of_binary_cross_entropies() -> None:
    scores, present = torch.randn(3, 3), torch.ones(3, dtype=torch.bool)
    target = torch.tensor([[1.0, 0, 1], [0, 0, 0], [math.nan] * 3])
    loss = head(label_smoothing=0.0).loss(Prediction(scores, present), target)
    probability = torch.sigmoid(scores[:2].double())
    expected = -(target[:2] * probability.log() + (1 - target[:2]) * (1 - probability).log()).sum(dim=1)
    assert loss.tolist() == pytest.approx([*expected.tolist(), 0.0], rel=1e-5)


def test_smoothing_moves_the_truth_towards_how_frequent_a_label_is() -> None:
    model, scores = head(label_smoothing=0.2), torch.zeros(1, 3)
    share = torch.tensor(statistics()["prior"])
    truth = 0.8 * torch.tensor([1.0, 0, 0]) + 0.2 * share
    loss = model.loss(Prediction(scores + 1, torch.ones(1, dtype=torch.bool)), torch.tensor([[1.0, 0, 0]]))
    assert loss.item() == pytest.approx(
        F.binary_cross_entropy_with_logits(scores[0] + 1, truth, reduction="sum").item()
    )


def test_class_weights() -> None:
    assert head(class_weight="balanced").positive.tolist() == pytest.approx([8 / 2, 4 / 6, 6 / 4])
    assert head(class_weight={"blue": 3.0}).positive.tolist() == [3, 1, 1]
    with pytest.raises(ConfigError, match=r"'rde'.*Did you mean 'red'"):
        head(class_weight={"rde": 3.0})


def test_rows_with_nothing_get_how_frequent_each_label_is() -> None:
    model = head()
    scores = model(Tokens(torch.randn(2, 1, 4), torch.tensor([[True], [False]]))).scores.detach().numpy()
    assert model.probabilities(scores)[1] == pytest.approx(statistics()["prior"], rel=1e-5)


def test_decoding() -> None:
    found = head(threshold=0.3).decode(np.array([[-0.5, 2.0, -2.0], [-2.0, -2.0, -2.0]], dtype=np.float32))
    assert found["prediction"].tolist() == ["blue|red", ""]
    assert found["p_red"] == pytest.approx(1 / (1 + np.exp([-2.0, 2.0])))
    assert list(found) == ["prediction", "p_blue", "p_red", "p_round"]


def test_metrics_leave_unknown_rows_out() -> None:
    target = Tag.encode_target([["red"], None, ["blue"], []], statistics())
    scores = np.array([[-3.0, 3, -3], [9, 9, 9], [3, -3, -3], [-3, -3, -3]])
    assert head().metrics(scores, target)["micro_f1"] == 1
