import pytest

from polymodal import registry
from polymodal.testing import check_fusion

# Settings beside the defaults with which tokens along time come out.
KEEPING_TIME = [
    ("attention", {}),
    ("bottleneck", {}),
    ("cross_attention", {"anchor": "voice"}),
    ("cross_attention", {"anchor": "photo"}),
]


@pytest.mark.parametrize("name", registry.names("fusions"))
def test_fusion_keeps_the_contract(name):
    check_fusion(name)


@pytest.mark.parametrize(("name", "settings"), KEEPING_TIME)
def test_fusion_that_keeps_time_keeps_the_contract(name, settings):
    check_fusion(name, settings={"width": 8, "heads": 2, "hidden": 12, "pool": "none", **settings})
