import pytest
import torch

from polymodal.errors import ConfigError
from polymodal.training.plan import autocast, pick_precision

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


@pytest.fixture
def cuda_bfloat16(monkeypatch):
    def has(yes: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: yes)

    return has


@pytest.mark.parametrize(
    ("device", "bfloat16", "expected"),
    [(CPU, False, "float32"), (MPS, False, "float32"), (CUDA, True, "bfloat16"), (CUDA, False, "float32")],
)
def test_auto(cuda_bfloat16, device, bfloat16, expected):
    cuda_bfloat16(bfloat16)
    assert pick_precision("auto", device) == expected


@pytest.mark.parametrize(("name", "device"), [("float32", CPU), ("bfloat16", CPU), ("float16", CUDA), ("float32", MPS)])
def test_possible_combinations_are_taken_as_named(name, device):
    assert pick_precision(name, device) == name


@pytest.mark.parametrize(
    ("name", "device", "words"),
    [
        ("float16", CPU, "float16 needs a CUDA device, not cpu"),
        ("float16", MPS, "float16 needs a CUDA device, not mps"),
        ("bfloat16", MPS, "not offered on mps"),
        ("bfloat16", CUDA, "has no bfloat16"),
    ],
)
def test_impossible_combinations_are_errors(cuda_bfloat16, name, device, words):
    cuda_bfloat16(False)
    with pytest.raises(ConfigError, match=words):
        pick_precision(name, device)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_autocast_sets_the_dtype_of_the_forward_pass(precision, dtype):
    with autocast(CPU, precision):
        assert torch.nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == dtype
