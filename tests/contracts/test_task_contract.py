import pytest

from polymodal import registry
from polymodal.testing import check_task


@pytest.mark.parametrize("name", registry.names("tasks"))
def test_task_keeps_the_contract(name):
    check_task(name)
