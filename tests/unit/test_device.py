import pytest
import torch

from polymodal.device import pick_device
from polymodal.errors import ConfigError


@pytest.fixture
def machine(monkeypatch):
    """Says which devices this machine has."""

    def has(cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return has


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(0, False, "cpu"), (0, True, "mps"), (1, False, "cuda"), (2, True, "cuda")]
)
def test_auto_takes_the_fastest_device_there_is(machine, cuda, mps, expected):
    machine(cuda, mps)
    assert pick_device("auto") == torch.device(expected)


def test_named_devices(machine):
    machine(cuda=2, mps=True)
    for name in ("cpu", "cuda", "cuda:1", "mps"):
        assert pick_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cuda", "finds no usable CUDA device. Use device=auto"),
        ("cuda:1", "cuda:1 is not available"),
        ("mps", "needs an Apple GPU"),
        ("cudda", "Did you mean 'cuda'"),
        ("cpu:3", "no device is called 'cpu:3'"),
        ("cpu:", "no device is called 'cpu:'"),
        ("cuda:", "no device is called 'cuda:'"),
        ("cuda:x", "no device is called 'cuda:x'"),
        ("", "no device is called ''"),
    ],
)
def test_a_device_that_is_not_there_is_an_error(machine, name, words):
    machine()
    with pytest.raises(ConfigError, match=words):
        pick_device(name)


def test_a_cuda_number_too_large_names_those_there_are(machine):
    machine(cuda=2)
    with pytest.raises(ConfigError, match="cuda:0 to cuda:1"):
        pick_device("cuda:2")
