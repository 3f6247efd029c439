"""Encoders that do not learn give the same tokens in every epoch, and in every run: compute them once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from polymodal.data.cells.dataset import Loader
from polymodal.models.model import Network
from polymodal.schema import Column
from polymodal.types import Tokens

_NAMES = {"name", "kind", "reason"}  # of a column, on which no cell depends
FORMAT = 2  # part of the name of a kept file: one more when what a file holds, or how tokens are made, changes


def encode_frozen(
    model: Network, loader: Loader, device: torch.device, *, cache: Path | None = None, columns: Sequence[Column] = ()
) -> dict[str, Tokens]:
    """The tokens of every input whose encoder is frozen, for `Batch.encoded`, on the CPU.

    Row r of a result is row r of the table; rows that the loader does not give are absent. T is that of the longest.
    The cache, a folder, keeps tokens for later runs, by all that they depend on: the encoder's class, settings and
    weights, the cells as they are stored, and how their modality makes tensors of them, which the columns say.
    """
    names = [name for name, encoder in model.encoders.items() if encoder.frozen]
    model.to(device).eval()
    read = {column.name: column for column in columns}
    kept = {name: cache / _file_name(model, name, loader, read) for name in names} if cache else {}
    encoded = {name: tokens for name, file in kept.items() if (tokens := _read(file)) is not None}
    made = _encode(model, [name for name in names if name not in encoded], loader, device)
    for name, tokens in made.items():
        if name in kept:
            _write(tokens, kept[name])
    return {name: {**encoded, **made}[name] for name in names}


def _encode(model: Network, names: Sequence[str], loader: Loader, device: torch.device) -> dict[str, Tokens]:
    parts: dict[str, list[Tokens]] = {name: [] for name in names}
    rows: list[Tensor] = []
    for batch in loader.epoch(0) if names else ():
        rows.append(batch.rows)
        moved = batch.to(device)
        with torch.inference_mode():
            for name in names:
                tokens = model.encode_input(name, moved)
                parts[name].append(Tokens(tokens.values.cpu(), tokens.mask.cpu()))
    return {name: _place(tokens, rows) for name, tokens in parts.items()}


def _place(parts: Sequence[Tokens], rows: Sequence[Tensor]) -> Tokens:
    """Tokens of batches -> tokens of the table, padded to the longest."""
    num_rows = 1 + max(int(part.max()) for part in rows)
    longest = max(part.mask.shape[1] for part in parts)
    values = torch.zeros(num_rows, longest, parts[0].width, dtype=parts[0].values.dtype)
    mask = torch.zeros(num_rows, longest, dtype=torch.bool)
    for part, where in zip(parts, rows, strict=True):
        values[where, : part.mask.shape[1]] = part.values
        mask[where, : part.mask.shape[1]] = part.mask
    return Tokens(values, mask)


def _file_name(model: Network, name: str, loader: Loader, columns: Mapping[str, Column]) -> str:
    """What the file of an input's tokens is called: the hash of all that they depend on."""
    encoder = model.encoders[name]
    kind, settings = type(encoder), encoder.portable
    read = [columns[column].model_dump(mode="json", exclude=_NAMES) for column in model.columns[name]]
    described = [FORMAT, kind.__module__, kind.__qualname__, settings, torch.__version__, read]
    state = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for key, tensor in encoder.state_dict().items():
        state.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        state.update(plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b"")
    state.update(loader.digest(model.columns[name]).encode())
    return f"tokens-{state.hexdigest()}.safetensors"


def _read(file: Path) -> Tokens | None:
    """Tokens that were kept; None where there are none, or no whole ones."""
    try:
        tensors = load_file(file)
        return Tokens(tensors["values"], tensors["mask"])
    except (OSError, SafetensorError, KeyError):  # they are made anew, and written over
        return None


def _write(tokens: Tokens, file: Path) -> None:
    """Puts tokens in place whole: other runs may read the same file meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{uuid4().hex}.new")
    try:
        save_file({"values": tokens.values, "mask": tokens.mask}, new)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
