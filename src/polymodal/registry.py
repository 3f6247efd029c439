"""Finds parts by name: one file is one part, and the file's name is the part's name.

`fusions/gated.py` holds the class `Gated` and is the fusion `"gated"`; `encoders/text/rnn.py` holds `Rnn` and is the
text encoder `"rnn"`. Other packages add parts through entry points: group `polymodal.fusions`, name `gated`; or group
`polymodal.encoders`, name `text.rnn`. Listing names imports nothing.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from polymodal.errors import ConfigError, did_you_mean

KINDS = ("modalities", "encoders", "fusions", "stages", "tasks", "datasets", "bundle_members", "decoders", "decoding")

_RENAMED = {"simple": "handcrafted", "shallow": "embedding", "each": "per_image"}  # parts of earlier versions


def names(kind: str) -> tuple[str, ...]:
    """Names of all parts of a kind, sorted.

    Args:
        kind: one of `KINDS`; `encoders/MODALITY` lists the encoders of one modality, `encoders` the modalities that
            have any.

    >>> "concat" in names("fusions")
    True
    """
    return tuple(sorted({*_own_names(kind), *_plugins(kind)}))


def load(kind: str, name: str) -> Any:
    """The class of a part.

    Raises:
        ConfigError: no part has that name; says which do.
    """
    if name in _own_names(kind):
        return _own_class(kind, name)
    if name in _plugins(kind):
        return _plugins(kind)[name].load()
    raise ConfigError(f"No {describe(kind)} is called {name!r}.{known(kind, name)}")


def known(kind: str, name: str) -> str:
    """Sentences for a message: which name may be meant by one that no part of a kind has, and which there are."""
    there, new = names(kind), _RENAMED.get(name)
    hint = f" It is now called {new!r}." if new in there else did_you_mean(name, there)
    return f"{hint} Known: {', '.join(there) or 'none'}."


def source(kind: str, name: str) -> Path | None:
    """The file that holds a part, found without running it; None where there is none to find."""
    if name in _own_names(kind):
        return Path(__file__).parent / kind / f"{name}.py"
    try:
        found = find_spec(_plugins(kind)[name].module)
    except ImportError:  # an entry point may name what is not there; `load` says so
        return None
    return Path(found.origin) if found and found.has_location and found.origin else None


def describe(kind: str) -> str:
    """What one part of a kind is called in a message: `fusion`, `text encoder`."""
    family, _, modality = kind.partition("/")
    irregular = {
        "modalities": "modality",
        "datasets": "dataset recipe",
        "bundle_members": "bundle member",
        "decoding": "search",
    }
    singular = irregular.get(family, family.removesuffix("s"))
    return f"{modality} {singular}".strip()


@cache
def _own_class(kind: str, name: str) -> Any:
    module = import_module(f"polymodal.{kind.replace('/', '.')}.{name}")
    return getattr(module, "".join(word.capitalize() for word in name.split("_")))


@cache  # it is asked for every column of a table
def _own_names(kind: str) -> frozenset[str]:
    folder = Path(__file__).parent / kind
    if kind == "encoders":
        return frozenset(entry.name for entry in folder.iterdir() if (entry / "__init__.py").exists())
    return frozenset(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_"))


@cache
def _plugins(kind: str) -> dict[str, EntryPoint]:
    family, _, modality = kind.partition("/")
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=f"polymodal.{family}"):
        head, dot, tail = entry.name.partition(".")
        if modality:
            if dot and head == modality:
                found[tail] = entry
        else:
            found[head] = entry
    return found
