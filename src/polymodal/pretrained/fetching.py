"""Checkpoints of huggingface.co by their name: from its cache, else fetched once, after saying how large and whose.

Only a name that the user wrote comes here. Without a network the answer comes at once: the cache is asked first, then
the site a single time, instead of the half minute for which its client would try again.
"""

from __future__ import annotations

import logging
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from polymodal.errors import ConfigError, needs_extra

PREFIX = "hf:"
FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "model.safetensors",
    "model-*.safetensors",
)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?(@[\w./-]{1,100})?")
_SECONDS = 5.0  # for the site to answer
_LOGGER = logging.getLogger("polymodal")


def fetch(name: str, *, who: str) -> Path:
    """The folder of a checkpoint in the cache of huggingface.co, to which it is fetched if need be.

    Args:
        name: `organisation/model`, perhaps with `@revision`.
        who: whose checkpoint it is, for messages: "Text encoder 'hf'".

    Raises:
        ConfigError: no such name, no network, or a checkpoint without safetensors; says how to use a folder.
        MissingExtraError: huggingface_hub is not installed.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{who}: {name!r} is no name of a checkpoint such as 'organisation/model'. {instead(name)}")
    with needs_extra("huggingface_hub", "hf", who):
        import huggingface_hub as hub
    repository, _, revision = name.partition("@")
    if (folder := _cached(hub, repository, revision or None)) is not None:
        return folder
    if hub.constants.HF_HUB_OFFLINE:
        raise ConfigError(f"{who}: {name!r} is not in the cache, and HF_HUB_OFFLINE is set. {instead(name)}")
    try:
        found = hub.HfApi().model_info(repository, revision=revision or None, files_metadata=True, timeout=_SECONDS)
    except Exception as error:  # the client's own errors have no common class, and differ from version to version
        raise ConfigError(
            f"{who}: {name!r} is not in the cache, and {hub.constants.ENDPOINT} does not give it: "
            f"{_first_line(error)}. {instead(name)}"
        ) from error
    wanted = [file for file in found.siblings or () if any(fnmatch(file.rfilename, pattern) for pattern in FILES)]
    names = [file.rfilename for file in wanted]
    if not any(file.endswith(".safetensors") for file in names):
        raise ConfigError(
            f"{who}: {name!r} has no weights as safetensors; other files can run code when they are opened."
        )
    size = sum(file.size or 0 for file in wanted)
    licence = getattr(found.card_data, "license", None) or "not stated"
    _LOGGER.warning("Fetching %s from %s: %.0f MB, licence: %s", name, hub.constants.ENDPOINT, size / 1e6, licence)
    try:
        return Path(hub.snapshot_download(repository, revision=found.sha, allow_patterns=names))
    except Exception as error:
        raise ConfigError(f"{who}: {name!r} was not fetched whole: {_first_line(error)}. {instead(name)}") from error


def instead(name: str) -> str:
    """How to do without a network, for the end of a message."""
    last = name.rpartition("/")[2].partition("@")[0] or "checkpoint"
    return (
        "Copy its folder here from a machine that has it (config.json, model.safetensors and what stands beside them), "
        f"and point `checkpoint` to it, such as checkpoint=/models/{last}; or, for `preset: pretrained`, put it into a "
        "folder that `pretrained_folder` names."
    )


def _cached(hub: Any, repository: str, revision: str | None) -> Path | None:
    try:
        folder = Path(hub.snapshot_download(repository, revision=revision, local_files_only=True))
    except (OSError, ValueError):  # nothing of it is there
        return None
    whole = (folder / "config.json").is_file() and any(folder.glob("model*.safetensors"))
    return folder if whole else None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
