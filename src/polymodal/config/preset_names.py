"""Names of presets, and which of them go together; `presets` and `pipeline.defaults` say what they choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator

from polymodal.errors import ConfigError, did_you_mean

SCRATCH, PRETRAINED = "scratch", "pretrained"
FAST, DEFAULT, BEST = "fast", "default", "best"
_ALTERNATIVES = ((SCRATCH, PRETRAINED), (FAST, DEFAULT, BEST))
_KNOWN = tuple(name for names in _ALTERNATIVES for name in names)


def _listed(value: object) -> object:
    """`best,pretrained` as a list; a list of one name as that name."""
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        return value
    names = list(dict.fromkeys(name.strip() for word in words for name in word.split(",")))
    return names[0] if len(names) == 1 else names


PresetField = Annotated[str | tuple[str, ...], BeforeValidator(_listed)]
"""Name of a preset, or of several."""


def check_presets(names: Sequence[str], *, source: str) -> None:
    """Raises ConfigError where a name is unknown, or two of them exclude each other."""
    for name in names:
        if name not in _KNOWN:
            near = did_you_mean(name, _KNOWN)
            raise ConfigError(f"{source}: preset: no preset is called {name!r}.{near} Known: {', '.join(_KNOWN)}.")
    for alternatives in _ALTERNATIVES:
        named = [name for name in names if name in alternatives]
        if len(named) > 1:
            raise ConfigError(
                f"{source}: preset: {' and '.join(named)} exclude each other. Name one of {', '.join(alternatives)}."
            )
