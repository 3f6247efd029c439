"""The encoders that `preset: pretrained` chooses, as far as their checkpoints can be had; else why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from polymodal import registry
from polymodal.config import presets
from polymodal.config.run_config import ColumnConfig, Part, RunConfig, part_settings
from polymodal.errors import ConfigError, MissingExtraError
from polymodal.schema import Input

_SUBMODULE = "image"  # of encoders that see every picture through an image encoder


class PresetEncoders:
    """Looks up each modality's checkpoint once.

    Attributes:
        missing: by modality, why there is no checkpoint.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._parts: dict[str, Part | None] = {}
        self.missing: dict[str, str] = {}

    def part(self, modality: str, *, needed: bool) -> Part | None:
        """What the preset chooses; None where it leaves the choice to the defaults, or has no checkpoint.

        Args:
            modality: of the input.
            needed: without the checkpoint there is an error, because the user has set something of its encoder.

        Raises:
            ConfigError: no checkpoint, and it is needed; or `pretrained_folder` is no folder.
            MissingExtraError: likewise, where a library is not installed.
        """
        if needed:
            return presets.encoder(self._config, modality)
        if modality not in self._parts:
            try:
                found = presets.encoder(self._config, modality)
                if found is not None:
                    _check(modality, found)
            except (presets.NoCheckpointError, MissingExtraError) as error:
                found, self.missing[modality] = None, str(error)
            self._parts[modality] = found
        return self._parts[modality]

    def warnings(self, inputs: Sequence[Input]) -> Iterator[str]:
        """What is used instead of each missing checkpoint, in sentences."""
        for modality, reason in self.missing.items():
            names = [one.name for one in inputs if one.modality == modality and not self._named(one)]
            used = next((one.encoder for one in inputs if one.name in names), None)
            if used is not None:
                yield (
                    f"{', '.join(names)}: preset pretrained has no checkpoint for {modality}; the encoder {used!r}, "
                    f"which learns from scratch, is used instead. {reason}"
                )

    def _named(self, one: Input) -> bool:
        """Whether the user named the encoder."""
        config: Mapping[str, Any] = self._config.columns
        by_column = config.get(one.columns[0], ColumnConfig()).encoder
        return bool(by_column.name or self._config.encoders.get(one.modality, Part()).name)


def _check(modality: str, part: Part) -> None:
    """Raises where the library of the encoder is not installed, or its checkpoint is a name that nobody gives."""
    inner = part.settings.get(_SUBMODULE, {"name": part.name, **part.settings})
    presets.check_library(str(inner["name"]))
    if ":" not in str(inner["checkpoint"])[:6]:
        return  # a folder: what is wrong in it is for the user to know
    encoder = registry.load(f"encoders/{modality}", part.name or "")
    try:
        encoder.needs(part_settings(f"encoders/{modality}", part))  # fetched if need be
    except ConfigError as error:
        raise presets.NoCheckpointError(str(error)) from error
