"""A training does not ask the system for the same memory again at every step."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys, torch
from contextlib import nullcontext
from polymodal.training import memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

with memory.reused() if sys.argv[1] == "reused" else nullcontext():
    for _ in range(9):
        torch.zeros(16_000_000)  # 64 MB, above what glibc keeps by itself
    before = faults()
    for _ in range(9):
        torch.zeros(16_000_000)
    print(faults() - before)
"""
USUAL = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "LD_PRELOAD"))}


def faults(how: str, **environment: str) -> int:
    """Pages that were mapped anew for three tensors like three before them."""
    command = [sys.executable, "-c", COUNT, how]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env={**USUAL, **environment})
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_memory_of_a_freed_tensor_serves_the_next_one():
    assert faults("reused") < faults("as it is") / 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_thresholds_that_a_user_has_set_stay():
    assert faults("reused", MALLOC_MMAP_THRESHOLD_="65536") > faults("reused") * 10
