import numpy as np
import pytest
from sklearn import metrics as reference

from polymodal.metrics import regression

REFERENCES = {
    "r2": reference.r2_score,
    "rmse": reference.root_mean_squared_error,
    "mae": reference.mean_absolute_error,
}


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_equals_scikit_learn_on_repeated_rows(offset: float) -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=80) * 3 + offset
    prediction = target + rng.normal(size=80)
    weights = np.vstack([np.ones((1, 80)), rng.multinomial(80, np.full(80, 1 / 80), size=3)])
    values = regression.measure(prediction, target, weights)
    assert set(values) == set(REFERENCES)
    for name, metric in REFERENCES.items():
        rows = [np.repeat(np.arange(80), counts.astype(int)) for counts in weights]
        np.testing.assert_allclose(values[name], [metric(target[i], prediction[i]) for i in rows], rtol=1e-8)


def test_r2_is_undefined_where_the_target_does_not_vary() -> None:
    target = np.array([1.1, 1.1, 1.1, 5.0])
    weights = np.array([[1.0, 1, 1, 0], [1, 1, 1, 1]])
    assert np.isnan(regression.r2(target, target, weights)).tolist() == [True, False]
