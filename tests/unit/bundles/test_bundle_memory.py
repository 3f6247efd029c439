"""How much memory saving and loading take beside the model; measured in processes of their own."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import re, sys
from pathlib import Path
import torch
from small_bundle import make_bundle
from polymodal.bundles import bundle
from polymodal.metrics.results import Results

MEGABYTE = 1_000_000
build = bundle.build

def large(schema, config):
    model = build(schema, config)
    for number in range(8):  # of 25 MB each; every second one is not contiguous
        tensor = torch.full((2500, 2500), float(number))
        model.register_buffer(f"large_{number}", tensor.T if number % 2 else tensor)
    return model

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

def used(action):
    before = peak()
    result = action()
    print(action.__name__, (peak() - before) // MEGABYTE)
    return result

folder, verb = sys.argv[1:]
value = make_bundle()
bundle.save(value, folder + ".warm")
bundle.load(folder + ".warm")
bundle.build = large
if verb == "save":
    large_value = bundle.Bundle(large(value.schema, value.config), value.schema, value.config, Results(), "")
    def save(): bundle.save(large_value, folder)
    used(save)
    def to_bytes(): return bundle.to_bytes(large_value)
    data = used(to_bytes)
    Path(folder + ".bytes").write_bytes(data)
else:
    def load(): return bundle.load(folder)
    loaded = used(load)
    assert all((getattr(loaded.model, f"large_{number}") == number).all() for number in range(8))
"""


def peaks(verb, folder):
    """By function, the megabytes by which the peak of the process rose."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(folder), verb]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: int(number) for name, number in (line.split() for line in done.stdout.splitlines())}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
def test_saving_takes_a_block_and_loading_the_model_and_one_copy(tmp_path):
    saving = peaks("save", tmp_path / "bundle")
    assert saving["save"] < 20  # less than one of the tensors, also where it is not contiguous
    assert saving["to_bytes"] < 200 + 20
    assert (tmp_path / "bundle.bytes").stat().st_size > 200_000_000
    assert peaks("load", tmp_path / "bundle")["load"] < 200 + 200 + 20
