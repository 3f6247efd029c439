"""Permutation tests on kernels, against refits, against chance, and on dependence of several kinds."""

import numpy as np
import pytest

from polymodal.metrics.independence import (
    discoveries,
    gaussian_kernel,
    p_of_interaction,
    p_of_prediction,
    residual_of,
)

ROWS = 80
ALL = np.ones(ROWS, dtype=bool)


def draws(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def kernel_of(*columns: np.ndarray) -> np.ndarray:
    return gaussian_kernel(np.stack(columns, axis=1), np.ones(len(columns[0]), dtype=bool))


def test_the_residual_is_that_of_a_refit_without_the_row():
    rng = draws()
    kernel, target = kernel_of(rng.normal(size=12), rng.normal(size=12)), rng.normal(size=(12, 2))
    found = residual_of(kernel, target)
    for row in range(12):
        others = np.delete(np.arange(12), row)
        system = np.ones((12, 12))  # an intercept that is not penalised
        system[:-1, :-1], system[-1, -1] = kernel[np.ix_(others, others)] + np.eye(11), 0
        solved = np.linalg.solve(system, np.vstack([target[others], np.zeros((1, 2))]))
        np.testing.assert_allclose(found[row], target[row] - kernel[row, others] @ solved[:-1] - solved[-1], atol=1e-9)


def test_rows_without_a_cell_are_like_one_another_and_like_nothing_else():
    present = np.array([True, False, True, False])
    kernel = gaussian_kernel(np.array([[1.0], [0], [2], [0]]), present)
    assert kernel[1, 3] == kernel[1, 1] == 1
    assert kernel[0, 1] == kernel[3, 2] == 0
    assert 0 < kernel[0, 2] < 1


@pytest.mark.parametrize("case", ["line", "circle", "presence"])
def test_p_is_small_where_rows_say_something(case):
    rng = draws(1)
    first, second = rng.normal(size=(2, ROWS))
    target = {"line": first, "circle": first**2, "presence": (first > 0) * 1.0}[case] + 0.3 * second
    kernel = gaussian_kernel(np.zeros((ROWS, 1)), first > 0) if case == "presence" else kernel_of(first)
    assert p_of_prediction(kernel, target[:, None], rng) < 1e-3


def test_p_of_noise_is_spread_over_all_values():
    found = []
    for seed in range(60):
        rng = draws(seed)
        target = np.eye(3)[rng.integers(0, 3, size=ROWS)]
        found.append(p_of_prediction(kernel_of(*rng.normal(size=(5, ROWS))), target, rng))
    assert 0.35 < np.mean(found) < 0.65
    assert np.mean(np.array(found) < 0.1) < 0.25
    assert min(found) > 1e-4


def test_constant_rows_say_nothing():
    assert p_of_prediction(kernel_of(np.ones(ROWS)), draws().normal(size=(ROWS, 1)), draws()) > 0.5


def test_two_inputs_that_only_tell_together_are_found():
    rng = draws(2)
    first, second, third = rng.choice([-1.0, 1.0], size=(3, 200))
    target = np.eye(2)[(first * second > 0).astype(int)]
    of_first, of_second, of_third = kernel_of(first), kernel_of(second), kernel_of(third)
    assert p_of_prediction(of_first, target, rng) > 0.05
    residual = target - target.mean(axis=0)
    assert p_of_interaction(of_first, [of_third, of_second], residual, rng) < 1e-3
    assert p_of_interaction(of_third, [of_first, of_second], residual, rng) > 0.02


def test_discoveries_are_those_of_benjamini_and_hochberg():
    values = np.array([0.2, 0.01, 0.03, 0.9, 0.02])
    assert discoveries(values, 0.05).tolist() == [False, True, True, False, True]
    assert discoveries(values, 0.04).tolist() == [False, False, False, False, False]
    assert discoveries(np.zeros(0), 0.05).tolist() == []
