"""Bad data are a ValueError too, and no clause that catches one rewords ours."""

import io

import numpy as np
import pytest
from PIL import Image

from polymodal import Classifier, read_table
from polymodal.errors import DataError, PolymodalError, TableError, UnreadableCellError
from polymodal.registry import load


@pytest.mark.parametrize("error", [DataError, TableError, UnreadableCellError])
def test_bad_data_are_what_scikit_learn_expects(error):
    assert issubclass(error, ValueError) and issubclass(error, PolymodalError)


def test_an_estimator_raises_a_value_error_for_a_target_that_cannot_be():
    with pytest.raises(ValueError, match="no classes"):
        Classifier().fit({"size": [1.0, 2.0, 3.0]}, [0.25, 1.5, 2.75])


def test_a_reason_is_told_as_it_was_given(tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(file, "PNG")
    image = load("modalities", "image")
    with pytest.raises(UnreadableCellError, match=r"^too large: 16 x 16 pixels"):
        image(image.Config(max_pixels=255)).read(file.getvalue())
    (tmp_path / "t.jsonl").write_text('{"a": 1, "a": 2}')
    with pytest.raises(TableError, match="key 'a' appears") as error:
        read_table(tmp_path / "t.jsonl")
    assert "not JSON" not in str(error.value)
