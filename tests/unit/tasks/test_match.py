"""Matching: the loss against its formula, ranks against brute force, the words of every wrong side."""

import math

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.special import log_softmax

from polymodal.errors import ConfigError
from polymodal.metrics.direction import greater_is_better
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Head, Needs, Task
from polymodal.tasks.match import Match, MatchConfig, MatchHead
from polymodal.types import Cells, Embeddings, Tokens

SIDES = {"picture": ("image",), "words": ("name", "tags")}
COLUMNS = ["image", "name", "tags"]
RNG = np.random.default_rng(0)


def task(**settings: object) -> Match:
    return Match(MatchConfig(sides=SIDES, **settings), {})


def head(**settings: object) -> MatchHead:
    torch.manual_seed(0)
    return task(**{"width": 6, **settings}).head({"picture": 5, "words": 3}).eval()


def unit(rows: int, width: int = 4) -> np.ndarray:
    values = RNG.normal(size=(rows, 2, width))
    return values / np.linalg.norm(values, axis=2, keepdims=True)


def embeddings(values: np.ndarray, mask: np.ndarray | None = None) -> Embeddings:
    mask = np.ones(values.shape[:2], dtype=bool) if mask is None else np.asarray(mask)
    return Embeddings(torch.from_numpy(values * mask[:, :, None]), torch.from_numpy(mask))


def tokens(present: list[tuple[int, int]]) -> dict[str, Tokens]:
    """Rows of so many tokens out of three on each side."""
    torch.manual_seed(1)
    return {
        side: Tokens(torch.randn(len(present), 3, width), torch.arange(3) < torch.tensor(lengths).unsqueeze(1))
        for side, width, lengths in zip(("picture", "words"), (5, 3), zip(*present, strict=True), strict=True)
    }


def test_keeps_the_protocols() -> None:
    assert isinstance(task(), Task)
    assert isinstance(head(), Head)
    assert head().in_batch
    assert not Match.targeted
    assert task().needs() == Needs()


# --- sides


def test_the_sides_are_the_users() -> None:
    assert task().sides(COLUMNS) == SIDES


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        ({}, r"needs two sides with at least one column each, not 0\. Columns: image, name, tags\."),
        ({"picture": ("image",)}, "not 1"),
        ({"a": ("image",), "b": ("name",), "c": ("tags",)}, "not 3"),
        ({"picture": ("image",), "words": ()}, "at least one column each"),
        ({"picture": ("imgae",), "words": ("name", "tags")}, r"no column 'imgae' enters.*Did you mean 'image'"),
        ({"picture": ("image", "name"), "words": ("name", "tags")}, "column 'name' is named twice"),
        ({"picture": ("image", "image"), "words": ("name", "tags")}, "column 'image' is named twice"),
        ({"picture": ("image",), "words": ("name",)}, r"column 'tags' is on neither side.*--drop tags"),
    ],
)
def test_sides_that_cannot_be_name_the_column(sides: dict[str, tuple[str, ...]], words: str) -> None:
    with pytest.raises(ConfigError, match=r"task\.sides") as caught:
        Match(MatchConfig(sides=sides)).sides(COLUMNS)
    caught.match(words)


@pytest.mark.parametrize("settings", [{"temperature": 0}, {"width": 0}, {"dropout": 1.0}, {"side": {}}])
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(MatchConfig).validate_python(settings)


# --- the head


def test_points_have_length_one_and_absent_sides_are_zero() -> None:
    with torch.no_grad():
        found = head().predict(tokens([(2, 3), (0, 1), (3, 0), (0, 0)]))
    mask = [[True, True], [False, True], [True, False], [False, False]]
    assert found.mask.tolist() == mask
    assert found.present.tolist() == [True, True, True, False]
    np.testing.assert_allclose(found.values.norm(dim=2), np.array(mask, dtype=float), atol=1e-6)


def test_the_output_holds_the_learned_temperature() -> None:
    model, batch = head(temperature=0.2), tokens([(1, 1), (2, 2)])
    with torch.no_grad():
        output, points = model(batch), model.predict(batch)
        torch.testing.assert_close(output.values, points.values / math.sqrt(0.2))
        model.log_scale.fill_(math.log(1e6))  # beyond 100 it has no effect
        torch.testing.assert_close(model(batch).values, points.values * 10)


def infonce(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """By definition, row by row, in float64."""
    losses = np.zeros(len(values))
    for row in np.flatnonzero(mask.all(axis=1)):
        directions = []
        for query, candidate in ((0, 1), (1, 0)):
            there = np.flatnonzero(mask[:, candidate])
            scores = values[there, candidate] @ values[row, query]
            directions.append(-log_softmax(scores)[list(there).index(row)])
        losses[row] = np.mean(directions)
    return losses


@pytest.mark.parametrize("scale", [1.0, 5.0])
@pytest.mark.parametrize(
    "mask", [np.ones((6, 2), dtype=bool), np.array([[1, 1], [0, 1], [1, 1], [1, 0], [0, 0], [1, 1]], dtype=bool)]
)
def test_the_loss_is_infonce_in_both_directions(mask: np.ndarray, scale: float) -> None:
    values = scale * unit(6)
    loss = head().loss(embeddings(values, mask), None)
    np.testing.assert_allclose(loss, infonce(values, mask), rtol=1e-12)
    assert (loss > 0).tolist() == mask.all(axis=1).tolist()


def test_absent_sides_get_no_gradient_and_are_no_negatives() -> None:
    mask = np.array([[1, 1], [0, 1], [1, 1], [1, 0]], dtype=bool)
    values = torch.from_numpy(unit(4)).requires_grad_()
    loss = head().loss(Embeddings(values, torch.from_numpy(mask)), None)
    loss.sum().backward()
    assert (values.grad != 0).any(dim=2).tolist() == mask.tolist()  # one side alone is a negative for others
    moved = torch.where(torch.from_numpy(mask).unsqueeze(2), values.detach(), 1e3)
    torch.testing.assert_close(head().loss(Embeddings(moved, torch.from_numpy(mask)), None), loss.detach())


def test_of_a_batch_of_one_there_is_nothing_to_learn() -> None:
    model = head().train()
    loss = model.loss(model(tokens([(2, 1)])), None)
    loss.sum().backward()
    assert loss.tolist() == [0]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_batch_without_any_side_is_finite() -> None:
    model = head().train()
    loss = model.loss(model(tokens([(0, 0), (0, 0)])), None)
    loss.sum().backward()
    assert loss.tolist() == [0, 0]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_learns_which_belong_together() -> None:
    torch.manual_seed(0)
    model = task(width=8, dropout=0.0).head({"picture": 7, "words": 6})
    hidden = torch.randn(24, 6)
    batch = {"picture": Tokens.vector(hidden @ torch.randn(6, 7)), "words": Tokens.vector(hidden)}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(model(batch), None).mean().backward()
        optimizer.step()
    with torch.no_grad():
        found = RowStatistics.of(task(), model.eval().predict(batch), None).values()
    assert found["recall_at_1"] > 0.9


# --- ranks and metrics


def ranks(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """By brute force: ties count as half before."""
    found = np.full((len(values), 2), np.nan)
    for row in np.flatnonzero(mask.all(axis=1)):
        for query in (0, 1):
            own = values[row, query] @ values[row, 1 - query]
            rank = 1.0
            for other in np.flatnonzero(mask[:, 1 - query]):
                if other != row:
                    gap = values[row, query] @ values[other, 1 - query] - own
                    rank += 0.5 if abs(gap) < 1e-9 else float(gap > 0)
            found[row, query] = rank
    return found


@pytest.mark.parametrize("chunk", [1024, 7])
@pytest.mark.parametrize("repeats", [1, 5])
def test_ranks_are_those_of_brute_force(repeats: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polymodal.tasks.match._CHUNK", chunk)
    values = unit(60, width=8)
    values[:, 1] = values[np.arange(60) // repeats * repeats, 1]  # words that several rows share are ties
    mask = RNG.random((60, 2)) < 0.8
    found = task().rows(embeddings(values.astype(np.float32), mask), None)["rank"]
    np.testing.assert_array_equal(found, ranks(values, mask))
    assert np.isnan(found).all(axis=1).tolist() == (~mask.all(axis=1)).tolist()


def test_rows_that_are_all_the_same_are_found_by_chance() -> None:
    values = np.tile(unit(1, width=128), (333, 1, 1)).astype(np.float32)
    assert (task().rows(embeddings(values), None)["rank"] == 1 + 332 / 2).all()


def test_a_row_beside_itself_is_first() -> None:
    values = unit(9)
    values[:, 1] = values[:, 0]
    found = RowStatistics.of(task(), embeddings(values), None).values()
    assert {found[name] for name in found} == {1.0}
    assert set(found) == {
        f"{metric}{direction}"
        for metric in ("recall_at_1", "recall_at_5", "recall_at_10", "mean_reciprocal_rank", "median_rank")
        for direction in ("", "_picture_to_words", "_words_to_picture")
    }
    assert {Match.metric, Match.monitor} <= set(found)


def test_metrics_equal_their_definitions() -> None:
    rank = np.array([[1, 2], [3.5, 1], [12, 6], [np.nan, np.nan], [5, 11]])
    found = {name: value[0] for name, value in task().metrics({"rank": rank}, np.ones((1, 5))).items()}
    assert found["recall_at_1_picture_to_words"] == 1 / 4
    assert found["recall_at_5_picture_to_words"] == 3 / 4
    assert found["recall_at_10_words_to_picture"] == 3 / 4
    assert found["recall_at_10"] == 3 / 4
    assert found["mean_reciprocal_rank_picture_to_words"] == pytest.approx((1 + 1 / 3.5 + 1 / 12 + 1 / 5) / 4)
    assert found["mean_reciprocal_rank_words_to_picture"] == pytest.approx((1 / 2 + 1 + 1 / 6 + 1 / 11) / 4)
    assert (found["median_rank_picture_to_words"], found["median_rank_words_to_picture"]) == (3.5, 2)  # the lower one
    assert found["median_rank"] == 2.75


def test_a_weight_is_a_repetition() -> None:
    rank = RNG.integers(1, 15, (20, 2)) + RNG.choice([0, 0.5], (20, 2))
    rank[3] = np.nan
    counts = RNG.integers(0, 4, (6, 20))
    found = task().metrics({"rank": rank}, counts.astype(float))
    for place, times in enumerate(counts):
        again = rank[np.repeat(np.arange(20), times)]
        expected = task().metrics({"rank": again}, np.ones((1, len(again))))
        assert {name: value[place] for name, value in found.items()} == pytest.approx(
            {name: value[0] for name, value in expected.items()}
        )
        both = again[~np.isnan(again).any(axis=1)]
        middle = np.sort(both, axis=0)[(len(both) - 1) // 2]
        assert found["median_rank_picture_to_words"][place] == middle[0]


def test_where_no_row_has_both_sides_metrics_are_undefined() -> None:
    for rank, weights in ((np.full((3, 2), np.nan), np.ones((2, 3))), (np.ones((2, 2)), np.zeros((2, 2)))):
        found = task().metrics({"rank": rank}, weights)
        assert all(np.isnan(values).all() for values in found.values())
    assert RowStatistics.of(task(), embeddings(unit(2), [[True, False], [False, True]]), None).values() == {}


def test_directions_of_the_metrics() -> None:
    assert greater_is_better(Match.greater_is_better, "recall_at_10_words_to_picture")
    assert greater_is_better(Match.greater_is_better, "recall_at_1")
    assert not greater_is_better(Match.greater_is_better, "median_rank_picture_to_words")


# --- results


def test_decoding_names_the_nearest_row() -> None:
    values = unit(8)
    mask = np.array([[1, 1], [0, 1], [1, 0], [1, 1], [1, 1], [0, 0], [1, 1], [1, 1]], dtype=bool)
    found = task().decode(embeddings(values, mask))
    similarity = np.where(mask[:, 1], values[:, 0] @ values[:, 1].T, -np.inf)
    for row in range(8):
        if mask[row, 0]:
            assert found["prediction"][row] == similarity[row].argmax()
            assert found["similarity"][row] == pytest.approx(similarity[row].max())
        else:
            assert found["prediction"][row] == -1 and np.isnan(found["similarity"][row])


def test_without_any_second_side_nothing_is_found() -> None:
    found = task().decode(embeddings(unit(3), np.array([[True, False]] * 3)))
    assert found["prediction"].tolist() == [-1] * 3
    assert np.isnan(found["similarity"]).all()


def test_the_baseline_is_chance() -> None:
    (found,) = task().baselines({}, None, 400).values()
    np.testing.assert_allclose(found.values.norm(dim=2), 1, rtol=1e-5)
    measured = RowStatistics.of(task(), found, None).values()
    assert measured["recall_at_10"] == pytest.approx(10 / 400, abs=0.02)
    assert measured["median_rank"] == pytest.approx(200, abs=25)
    assert torch.equal(found.values, task().baselines({}, None, 400)["chance"].values)


def test_there_is_no_target() -> None:
    assert Match.recognise(["a", "b"]) is None
    assert Match(MatchConfig()).fit([], column="") == {}
    assert task().encode("a") is None
    target = task().collate([None, None])
    assert isinstance(target, Cells) and not target.present.any()
