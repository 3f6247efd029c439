"""Pretrained network for audio, as transformers saves it; frozen unless told otherwise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import ConfigDict, JsonValue, PositiveFloat
from torch import Tensor, nn

from polymodal.errors import ConfigError
from polymodal.layers import adaptation, checkpoint_sounds, checkpoints, states
from polymodal.layers.adaptation import FROZEN, TrainField
from polymodal.layers.checkpoints import Family, Settings
from polymodal.layers.states import Pool
from polymodal.modalities.audio import Audio
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


class Hf(nn.Module):
    """Waveforms Float "N S" -> one token, or one for each step of time.

    Raises:
        ConfigError: no folder, a folder that holds no such checkpoint, one that would need foreign code or a pickle, or
            a column of another sample rate than the checkpoint's.
        MissingExtraError: transformers, or for `lora` peft, is not installed.
    """

    Config: ClassVar[type] = HfConfig

    def __init__(self, config: HfConfig, modality: Audio) -> None:
        super().__init__()
        self.config = config
        self.frozen = config.train.name == "frozen"
        self.lr_scale = config.train.factor
        folder, self.architecture, self.preprocessing = _described(config, modality.config.max_seconds)
        whole = checkpoints.config_of(self.architecture, _FAMILY)
        self.reader = checkpoint_sounds.reader_for(whole, self.preprocessing, _FAMILY)
        self.pool = states.choose(config.pool, num_first=self.reader.num_first, who=_FAMILY.who)
        _check_fit(self.reader, modality)
        part = self.reader.part
        if folder is None:
            self.network = checkpoints.build(self.architecture, _FAMILY, part=part)
        else:
            cut = checkpoint_sounds.cut_positions(whole)
            self.network = checkpoints.load(folder, self.architecture, _FAMILY, part=part, reshape=cut)
        self.reader.prepare(self.network)
        self.width = checkpoints.width_of(self.network)
        self.token_span: float | None = self.reader.token_seconds if self.pool == "none" else None
        adaptation.adapt(
            self.network, config.train, who=_FAMILY.who, layers=adaptation.blocks, unused=checkpoints.UNUSED
        )
        self.train()

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

    @property
    def portable(self) -> dict[str, Any]:
        inside = {"architecture": self.architecture, "preprocessing": self.preprocessing, "seconds": None}
        train = asdict(adaptation.without_adapters(self.config.train))
        return {**asdict(self.config), "checkpoint": None, **inside, "train": train}

    def portable_state(self) -> dict[str, Tensor]:
        """The weights that fit `portable`."""
        return adaptation.merged_state(self)

    def train(self, mode: bool = True) -> Hf:
        """As for any module, but a frozen network stays in eval mode."""
        super().train(mode)
        adaptation.keep_modes(self.network, mode, self.config.train)
        return self

    def forward(self, cells: Cells) -> Tokens:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            first, rest, mask = self.reader(self.network, cells.values, cells.lengths)
            return states.pooled(first, rest, mask, self.pool)


def _described(config: HfConfig, column: float | None = None) -> tuple[Path | None, Settings, Settings]:
    """The folder, if there is one, and what it or the settings say of network and preprocessing.

    Args:
        config: the settings.
        column: seconds that the column keeps, once that is known.
    """
    if config.checkpoint is None and config.architecture is not None:
        architecture = checkpoints.checked(config.architecture, _FAMILY, source="architecture")
        return None, architecture, dict(config.preprocessing or {})
    folder = checkpoints.locate(config.checkpoint, _FAMILY)
    architecture = checkpoints.read_architecture(folder, _FAMILY)
    preprocessing = checkpoints.read_preprocessing(folder, _FAMILY)
    seconds = column if config.seconds == "column" else config.seconds
    if seconds is not None:
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
