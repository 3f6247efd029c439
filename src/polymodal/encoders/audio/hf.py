"""Pretrained network for audio, as transformers saves it; frozen unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import PositiveFloat

from polymodal.encoders._checkpoint import CheckpointSettings
from polymodal.errors import ConfigError
from polymodal.modalities.audio import Audio
from polymodal.pretrained import checkpoint_sounds, checkpoints
from polymodal.pretrained.checkpoints import Checkpoint, Family
from polymodal.pretrained.network import Pretrained, choose_pool, pooled
from polymodal.types import Cells, Tokens

_FAMILY = Family(
    what="audio encoder",
    model_types=(
        "audio-spectrogram-transformer", "hubert", "unispeech", "unispeech-sat", "wav2vec2", "whisper",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class HfConfig(CheckpointSettings):
    """Settings of `Hf`, besides those of its checkpoint.

    Attributes:
        seconds: of kinds that hear a window of fixed length (Whisper 30 seconds, AST 10.24), a shorter one: of a longer
            recording the first part is kept; `column`: as long as the column's `max_seconds`. Null: all of the window.
            Shorter is faster.
    """

    seconds: PositiveFloat | Literal["column"] | None = None


class Hf(Pretrained[HfConfig]):
    """Waveforms Float "N S" -> one token, or one for each step of time.

    Raises:
        ConfigError: no folder, a folder that holds no such checkpoint, one that would need foreign code or a pickle, or
            a column of another sample rate than the checkpoint's.
        MissingExtraError: transformers, or for `lora` peft, is not installed.
    """

    Config: ClassVar[type] = HfConfig

    def __init__(self, config: HfConfig, modality: Audio) -> None:
        super().__init__(config)
        self.checkpoint = _described(config, modality.config.max_seconds)
        self.reader = checkpoint_sounds.reader_for(self.checkpoint)
        self.pool = choose_pool(config.pool, num_first=self.reader.num_first, who=_FAMILY.who)
        _check_fit(self.reader, modality)
        cut = partial(checkpoint_sounds.cut_positions, config=self.checkpoint.config())
        network = self.checkpoint.network(part=self.reader.part, reshape=cut)
        if isinstance(self.reader, checkpoint_sounds.Waves):
            self.reader.prepare(network)
        self.adopt(network, who=_FAMILY.who, unused=checkpoints.UNUSED)
        self.width = checkpoints.width_of(self.network)
        self.keeps_time = self.pool == "none"
        self.token_span = self.reader.token_seconds if self.keeps_time else None

    @classmethod
    def needs(cls, config: HfConfig) -> dict[str, Any]:
        """The sample rate that the network was trained on, and the length of its window if it has one.

        Raises:
            ConfigError: no such folder, or a file in it is missing.
        """
        reader = checkpoint_sounds.reader_for(_described(config))
        own = reader.window_seconds is None or config.seconds == "column"
        return {"sample_rate": reader.sample_rate, **({} if own else {"max_seconds": reader.window_seconds})}

    @classmethod
    def spanning(cls, config: HfConfig, seconds: float) -> HfConfig:
        """A token for each step of time; how long these are, the network decides."""
        return replace(config, pool="none")

    @property
    def portable(self) -> dict[str, Any]:
        found = self.checkpoint
        return self.settings_inside(architecture=found.architecture, preprocessing=found.preprocessing, seconds=None)

    def forward(self, cells: Cells) -> Tokens:
        with self.learning():
            first, rest, mask = self.reader(self.network, cells.values, cells.lengths)
            return pooled(first, rest, mask, self.pool)


def _described(config: HfConfig, column: float | None = None) -> Checkpoint:
    """The checkpoint, shortened to the seconds that the settings ask for.

    Args:
        config: the settings.
        column: seconds that the column keeps, once that is known.
    """
    checkpoint = checkpoints.described(config, _FAMILY)
    seconds = column if config.seconds == "column" else config.seconds
    if checkpoint.folder is None or seconds is None:
        return checkpoint
    return checkpoint_sounds.shortened(checkpoint, seconds)


def _check_fit(reader: Any, modality: Audio) -> None:
    if modality.sample_rate != reader.sample_rate:
        raise ConfigError(
            f"{_FAMILY.who}: the column has {modality.sample_rate} samples a second, the checkpoint was trained on "
            f"{reader.sample_rate}. Leave the column's sample_rate out."
        )
    window = reader.window_seconds
    if window is not None and modality.config.max_seconds > window + 1e-6:
        raise ConfigError(
            f"{_FAMILY.who}: the column keeps {modality.config.max_seconds:g} seconds, the network hears {window:g}. "
            "Lower the column's max_seconds, or leave it out."
        )
