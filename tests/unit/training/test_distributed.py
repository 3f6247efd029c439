"""Two processes that share every batch end an epoch with the weights of one."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from small_objectives import ROWS, make, plan, take
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel

from polymodal.training.step import Stepper

_BATCH, _PROCESSES = 8, 2


def train(name: str, *, index: int, count: int) -> dict[str, torch.Tensor]:
    """One epoch over a part of every batch."""
    task, objective, batch = make(name)
    parts = [rows[index::count] for rows in torch.arange(ROWS).split(_BATCH)]
    wrap = DistributedDataParallel if count > 1 else None
    with Stepper(objective, plan(task), steps_per_epoch=len(parts), wrap=wrap) as stepper:
        stepper.begin(1)
        for rows in parts:
            stepper.update([take(batch, rows)])
    return {key: value.detach() for key, value in objective.state_dict().items()}


def work(index: int, name: str, port: int, folder: str) -> None:
    """One of the processes."""
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=index, world_size=_PROCESSES)
    torch.save(train(name, index=index, count=_PROCESSES), Path(folder) / f"{index}.pt")
    dist.destroy_process_group()


@pytest.mark.distributed
@pytest.mark.parametrize("name", ["classify", "match", "transcribe"])
def test_two_processes_learn_what_one_learns(name, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(work, (name, port, str(tmp_path)), nprocs=_PROCESSES)
    first, second = (torch.load(tmp_path / f"{index}.pt", weights_only=True) for index in range(_PROCESSES))
    alone, before = train(name, index=0, count=1), make(name)[1].state_dict()
    assert any(not torch.equal(alone[key], before[key]) for key in alone)
    for key, value in alone.items():
        torch.testing.assert_close(first[key], value, rtol=0, atol=1e-5)
        torch.testing.assert_close(second[key], first[key], rtol=0, atol=0)
