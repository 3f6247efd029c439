import pytest

from polymodal import registry
from polymodal.testing import check_fusion


@pytest.mark.parametrize("name", registry.names("fusions"))
def test_fusion_keeps_the_contract(name):
    check_fusion(name)
