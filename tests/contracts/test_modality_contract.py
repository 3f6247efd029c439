import pytest

from polymodal import registry
from polymodal.testing import check_modality


@pytest.mark.parametrize("name", registry.names("modalities"))
def test_modality_keeps_the_contract(name):
    check_modality(name)
