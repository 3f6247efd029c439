"""Pretrained network for audio, as transformers saves it; frozen unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, JsonValue, PositiveFloat

from polymodal.errors import ConfigError
from polymodal.layers import states
from polymodal.layers.states import Pool
from polymodal.modalities.audio import Audio
from polymodal.pretrained import checkpoint_sounds, checkpoints
from polymodal.pretrained.adaptation import FROZEN, TrainField
from polymodal.pretrained.checkpoints import Family, Settings
from polymodal.pretrained.network import Pretrained
from polymodal.types import Cells, Tokens

_FAMILY = Family(
    who="Audio encoder 'hf'",
    what="audio encoder",
    model_types=(
        "audio-spectrogram-transformer", "hubert", "unispeech", "unispeech-sat", "wav2vec2", "whisper",
    ),
    files=("config.json", "preprocessor_config.json"),
    example="as `save_pretrained` of the library transformers writes it",
)  # fmt: skip


@dataclass(frozen=True)
class HfConfig:
    """Settings of `Hf`.

    Attributes:
        checkpoint: folder with `config.json`, `preprocessor_config.json` and `model.safetensors`; or `hf:` and a name
            at huggingface.co, which is fetched once. None in a saved model, whose weights lie in its bundle.
        architecture: what the checkpoint's `config.json` says; filled in when a model is saved.
        preprocessing: what its `preprocessor_config.json` says of rate and scale; filled in likewise.
        seconds: of kinds that hear a window of fixed length (Whisper 30 seconds, AST 10.24), a shorter one: of a longer
            recording the first part is kept; `column`: as long as the column's `max_seconds`. Null: all of the window.
            Shorter is faster.
        pool: `auto` gives the class token, or the mean over time where a network has none; `first` and `mean` ask for
            one of the two; `none` keeps a token for each step of time.
        train: how the weights learn: `frozen` (every recording is then encoded only once), `full`, `top` or `lora`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    checkpoint: str | None = None
    architecture: dict[str, JsonValue] | None = None
    preprocessing: dict[str, JsonValue] | None = None
    seconds: PositiveFloat | Literal["column"] | None = None
    pool: Pool = "auto"
    train: TrainField = FROZEN


class Hf(Pretrained):
    """Waveforms Float "N S" -> one token, or one for each step of time.

    Raises:
        ConfigError: no folder, a folder that holds no such checkpoint, one that would need foreign code or a pickle, or
            a column of another sample rate than the checkpoint's.
        MissingExtraError: transformers, or for `lora` peft, is not installed.
    """

    Config: ClassVar[type] = HfConfig
    config: HfConfig

    def __init__(self, config: HfConfig, modality: Audio) -> None:
        super().__init__(config)
        folder, self.architecture, self.preprocessing = _described(config, modality.config.max_seconds)
        whole = checkpoints.config_of(self.architecture, _FAMILY)
        self.reader = checkpoint_sounds.reader_for(whole, self.preprocessing, _FAMILY)
        self.pool = states.choose(config.pool, num_first=self.reader.num_first, who=_FAMILY.who)
        _check_fit(self.reader, modality)
        cut = checkpoint_sounds.cut_positions(whole)
        network = checkpoints.load(folder, self.architecture, _FAMILY, part=self.reader.part, reshape=cut)
        self.reader.prepare(network)
        self.adopt(network, who=_FAMILY.who, unused=checkpoints.UNUSED)
        self.width = checkpoints.width_of(self.network)
        self.keeps_time = self.pool == "none"
        self.token_span: float | None = self.reader.token_seconds if self.keeps_time else None

    @classmethod
    def needs(cls, config: HfConfig) -> dict[str, Any]:
        """The sample rate that the network was trained on, and the length of its window if it has one.

        Raises:
            ConfigError: no such folder, or a file in it is missing.
        """
        _, architecture, preprocessing = _described(config)
        reader = checkpoint_sounds.reader_for(checkpoints.config_of(architecture, _FAMILY), preprocessing, _FAMILY)
        own = reader.window_seconds is None or config.seconds == "column"
        return {"sample_rate": reader.sample_rate, **({} if own else {"max_seconds": reader.window_seconds})}

    @classmethod
    def spanning(cls, config: HfConfig, seconds: float) -> HfConfig:
        """A token for each step of time; how long these are, the network decides."""
        return replace(config, pool="none")

    @property
    def portable(self) -> dict[str, Any]:
        return self.settings_inside(architecture=self.architecture, preprocessing=self.preprocessing, seconds=None)

    def forward(self, cells: Cells) -> Tokens:
        with self.learning():
            first, rest, mask = self.reader(self.network, cells.values, cells.lengths)
            return states.pooled(first, rest, mask, self.pool)


def _described(config: HfConfig, column: float | None = None) -> tuple[Path | None, Settings, Settings]:
    """The folder, if there is one, and what it or the settings say of network and preprocessing.

    Args:
        config: the settings.
        column: seconds that the column keeps, once that is known.
    """
    folder, architecture, preprocessing = checkpoints.described(config, _FAMILY)
    seconds = column if config.seconds == "column" else config.seconds
    if folder is not None and seconds is not None:
        whole = checkpoints.config_of(architecture, _FAMILY)
        architecture = checkpoint_sounds.shortened(architecture, whole, preprocessing, seconds, _FAMILY)
    return folder, architecture, preprocessing


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
