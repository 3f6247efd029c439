import numpy as np
import pytest
from scipy import stats

from polymodal.codecs.outlier_bounds import tukey_bounds


def test_two_of_a_million_normal_values_are_far_out():
    low, high = tukey_bounds(stats.norm.ppf(np.linspace(0.0005, 0.9995, 1001)))
    assert 1e6 * (stats.norm.cdf(low) + stats.norm.sf(high)) == pytest.approx(2.3, abs=0.3)  # Tukey 1977


@pytest.mark.parametrize("values", [[1.0], [5.0] * 9, [0.0] * 8 + [7.0], [1e300, -1e300, 1e300]])
def test_without_a_spread_nothing_is_outside(values):
    low, high = tukey_bounds(np.array(values))
    assert low <= min(values)
    assert max(values) <= high
