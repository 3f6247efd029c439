"""Scaled features against scikit-learn's StandardScaler."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from polymodal.baselines import scaling
from polymodal.baselines.scaling import Scaling, components

NUM = 60
RNG = np.random.default_rng(0)
EVERY = np.ones(NUM, dtype=bool)


def mean_square(features: np.ndarray) -> float:
    """Of the rows."""
    return float((features**2).sum(axis=1).mean())


def test_features_of_one_column_are_standardised_and_rows_have_the_mean_square_one():
    blocks = [(RNG.normal(7, [1.0, 50.0, 1e-3], (NUM, 3)), EVERY)]
    scaler = StandardScaler().fit(blocks[0][0])
    found = Scaling.of(blocks)
    np.testing.assert_allclose(found(blocks), scaler.transform(blocks[0][0]) / np.sqrt(3), rtol=1e-9)
    new = RNG.normal(7, [1.0, 50.0, 1e-3], (5, 3))
    np.testing.assert_allclose(found([(new, np.ones(5, dtype=bool))]), scaler.transform(new) / np.sqrt(3), rtol=1e-9)


@pytest.mark.parametrize("as_stored", [np.asarray, sparse.csr_matrix])
def test_a_feature_far_beyond_the_fitted_rows_is_cut_to_twice_their_largest(as_stored):
    values = RNG.normal(0, [1.0, 1e-6], (NUM, 2))
    found = Scaling.of([(as_stored(values), EVERY)])
    largest = np.abs(found([(as_stored(values), EVERY)])).max()
    wild = as_stored(np.array([[0.5, 1e9], [-1e9, 0.0]]))
    cut = sparse.csr_matrix(found([(wild, np.ones(2, dtype=bool))])).toarray()
    assert cut[0, 1] == pytest.approx(2 * largest)
    assert cut[1, 0] == pytest.approx(-2 * largest)
    assert abs(cut[0, 0]) < largest


def test_rows_without_the_cell_teach_nothing_and_become_zero():
    has = RNG.random(NUM) < 0.7
    values = RNG.normal(2, 3, (NUM, 2))
    wild = np.where(has[:, None], values, [np.nan, 1e9])
    found = Scaling.of([(wild, has)])([(wild, has)])
    expected = StandardScaler().fit(values[has]).transform(values[has])
    np.testing.assert_allclose(found[has], expected / np.sqrt(2), rtol=1e-9)
    assert not found[~has].any()


def test_columns_are_scaled_side_by_side_over_the_rows_that_have_any():
    has_a, has_b = RNG.random(NUM) < 0.6, RNG.random(NUM) < 0.6
    blocks = [(RNG.normal(5, 2, (NUM, 3)), has_a), (RNG.normal(-1, 9, (NUM, 2)), has_b)]
    found = Scaling.of(blocks)(blocks)
    assert found.shape == (NUM, 5)
    assert mean_square(found[has_a | has_b]) == pytest.approx(1.0)
    a = StandardScaler().fit_transform(blocks[0][0][has_a])
    np.testing.assert_allclose(found[has_a, :3] / found[has_a, :3].std(), a / a.std(), rtol=1e-9)


def test_a_constant_feature_becomes_zero():
    values = np.stack([np.full(NUM, 0.1), RNG.normal(size=NUM)], axis=1)
    found = Scaling.of([(values, EVERY)])([(values + np.array([5.0, 0.0]), EVERY)])
    assert not found[:, 0].any()
    np.testing.assert_allclose(found[:, 1], StandardScaler().fit_transform(values)[:, 1], rtol=1e-9)


def test_a_column_that_no_row_has_becomes_zero():
    blocks = [(RNG.normal(size=(NUM, 2)), ~EVERY), (RNG.normal(size=(NUM, 2)), EVERY)]
    found = Scaling.of(blocks)(blocks)
    assert not found[:, :2].any() and mean_square(found) == pytest.approx(1.0)


def test_of_very_many_features_those_that_vary_most_are_kept(monkeypatch):
    monkeypatch.setattr(scaling, "_MOST_DENSE", 2)
    values = RNG.normal(0, [1.0, 3.0, 2.0, 0.5], (NUM, 4))
    found = Scaling.of([(values, EVERY)])([(values, EVERY)])
    assert found.any(axis=0).tolist() == [False, True, True, False]


def test_sparse_features_stay_sparse_and_are_only_made_as_large_as_others():
    values = sparse.csr_matrix(RNG.random((NUM, 30)) * (RNG.random((NUM, 30)) < 0.2))
    found = Scaling.of([(values, EVERY)])([(values, EVERY)])
    assert sparse.issparse(found)
    size = np.sqrt(mean_square(values.toarray()))
    np.testing.assert_allclose(found.toarray(), values.toarray() / size, rtol=1e-9)


def test_groups_count_alike_whatever_their_widths():
    a, b, c = RNG.normal(3, 2, (NUM, 2)), RNG.normal(0, 50, (NUM, 40)), RNG.normal(-9, 1e-3, (NUM, 5))
    has_a, has_c = RNG.random(NUM) < 0.6, RNG.random(NUM) < 0.6
    groups = [[(a, has_a), (c, has_c)], [(b, EVERY)]]
    found = Scaling.of_groups(groups)([block for group in groups for block in group])

    def alone(values: np.ndarray, present: np.ndarray) -> np.ndarray:
        standard = (values - values[present].mean(axis=0)) / values[present].std(axis=0)
        return np.where(present[:, None], standard, 0)

    few, many = np.hstack([alone(a, has_a), alone(c, has_c)]), alone(b, EVERY)
    few /= np.sqrt((few**2).sum() / (has_a | has_c).sum())
    many /= np.sqrt((many**2).sum() / NUM)
    np.testing.assert_allclose(found, np.hstack([few, many]) / np.sqrt(2), rtol=1e-9, atol=1e-12)
    assert mean_square(found[has_a | has_c, :7]) == pytest.approx(0.5) == mean_square(found[:, 7:])


def test_a_single_group_is_scaled_as_its_columns_are():
    blocks = [(RNG.normal(3, 2, (NUM, 2)), EVERY), (RNG.normal(0, 50, (NUM, 4)), RNG.random(NUM) < 0.6)]
    np.testing.assert_allclose(Scaling.of_groups([blocks])(blocks), Scaling.of(blocks)(blocks), rtol=1e-12)


@pytest.mark.parametrize(("width", "reduced"), [(64, False), (65, True)])
def test_many_features_are_reduced_for_trees_to_principal_components(width, reduced):
    values = RNG.normal(3, 1, (200, 10)) @ RNG.normal(size=(10, width))
    found = components(values)
    assert (found is not None) == reduced
    if found is not None:
        assert found.shape == (width, 32)
        space = PCA(10, svd_solver="full").fit(values).components_
        np.testing.assert_allclose(np.abs(space @ found[:, :10]), np.eye(10), atol=1e-5)
