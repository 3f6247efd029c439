"""Pretrained language model of transformers, causal (GPT-2) or encoder-decoder (T5), that reads the inputs' tokens."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from pydantic import JsonValue
from torch import Tensor, nn

from polymodal.config.node import settings
from polymodal.decoders._hf_state import HfState, cache_of, pairs_of, two_caches_of
from polymodal.decoders._hf_tokenizer import learned_of
from polymodal.errors import ConfigError
from polymodal.layers.memory import WithNothing
from polymodal.pretrained import adaptation, checkpoints
from polymodal.pretrained.adaptation import FROZEN, TrainField
from polymodal.pretrained.checkpoints import Family
from polymodal.types import Tokens

_FAMILY = Family(
    what="decoder",
    model_types=("bart", "gpt2", "gpt_neox", "llama", "mt5", "opt", "pegasus", "t5"),
    files=("config.json", "tokenizer.json"),
)
_UNTIED = "untied_output"  # in an architecture: the output layer has weights of its own, whatever its config.json says
_NUM_PIECES = 16  # that an encoder is shown, to see how large its states are


@settings
class HfConfig:
    """Settings of `Hf`.

    Attributes:
        checkpoint: folder with `config.json`, `model.safetensors` and `tokenizer.json`; or `hf:` and a name at
            huggingface.co, which is fetched once. None in a saved model, whose weights lie in its bundle.
        architecture: what the checkpoint's `config.json` says; filled in when a model is saved.
        train: how its weights learn: `frozen`, `full`, `top` or `lora`. What turns the inputs' tokens into its own
            always learns.
    """

    checkpoint: str | None = None
    architecture: dict[str, JsonValue] | None = None
    train: TrainField = FROZEN


class Hf(nn.Module):
    """p(y_t | y_<t, memory) of a pretrained language model.

    The memory, at the width of its states, is what an encoder-decoder attends to in place of its own encoder's states,
    and what stands before the text of a causal model in place of embeddings (prefix; Li and Liang 2021, arXiv
    2101.00190; Tsimpoukelli et al. 2021, arXiv 2106.13884). A causal model's positions count the real tokens only.

    Args:
        config: settings.
        memory_width: D of the memory.
        vocabulary_size: V of the checkpoint.

    Raises:
        ConfigError: no folder, or a folder that holds no such checkpoint.
        MissingExtraError: transformers, or for `lora` peft, is not installed.
    """

    Config: ClassVar[type] = HfConfig

    def __init__(self, config: HfConfig, *, memory_width: int, vocabulary_size: int) -> None:
        super().__init__()
        self.config = config
        checkpoint = checkpoints.described(config, _FAMILY)
        network = checkpoint.network(language_model=True)
        if network.config.vocab_size != vocabulary_size:
            raise ConfigError(
                f"{_FAMILY.who}: the checkpoint has {network.config.vocab_size} pieces, and the target was learned "
                f"with {vocabulary_size}. Use the checkpoint with which the target was learned."
            )
        self.architecture = dict(checkpoint.architecture)
        output, embeddings = network.get_output_embeddings(), network.get_input_embeddings()
        if checkpoint.folder is None and self.architecture.get(_UNTIED):
            output.weight = nn.Parameter(output.weight.detach().clone())
        self.architecture[_UNTIED] = output.weight is not embeddings.weight
        self.attends = bool(network.config.is_encoder_decoder)
        width = network.config.hidden_size if self.attends else embeddings.embedding_dim
        self.memory = WithNothing(memory_width, width)
        if checkpoint.folder is not None:
            self._match_size(network)
        if self.attends:
            _drop_encoder(network)
        network.lr_scale = config.train.factor
        self.positions: int | None = getattr(network.config, "max_position_embeddings", None)
        self._cache_name = "cache" if "cache" in inspect.signature(network.forward).parameters else "past_key_values"
        self.network: Any = network
        adaptation.adapt(network, config.train, who=_FAMILY.who, layers=adaptation.blocks)
        self.train()

    @classmethod
    def tokenizer(cls, config: HfConfig) -> Mapping[str, Any]:
        """The checkpoint's tokenizer, and its ids of what stands before and behind a text.

        Raises:
            ConfigError: no such folder, no tokenizer in it, or one that does not fit the network.
        """
        folder = checkpoints.locate(config.checkpoint, _FAMILY)
        return learned_of(folder, checkpoints.described(config, _FAMILY))

    @property
    def portable(self) -> dict[str, Any]:
        """Settings from which it can be built again without a folder, and without adapters."""
        train = FROZEN if self.config.train.name == "lora" else self.config.train
        return {"checkpoint": None, "architecture": self.architecture, "train": asdict(train)}

    def portable_state(self) -> dict[str, Tensor]:
        """The weights that fit such settings."""
        return adaptation.merged_state(self)

    def train(self, mode: bool = True) -> Hf:
        """As for any module, but a frozen network stays in eval mode."""
        super().train(mode)
        self.network.train(mode and self.config.train.name != "frozen")
        return self

    def forward(self, tokens: Tokens, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        """Logits of the token after each of these, of which the first is the begin."""
        memory = self.memory(tokens)
        logits: Tensor
        if self.attends:
            logits = self._attending(memory.values, memory.mask, ids, use_cache=False)
        else:
            embedded = self.network.get_input_embeddings()(ids)
            mask = torch.cat([memory.mask, torch.ones_like(ids, dtype=torch.bool)], dim=1)
            logits = self._causal(torch.cat([memory.values, embedded], dim=1), mask, use_cache=False)
        return logits[:, -ids.shape[1] :]

    def cross_attention(self, tokens: Tokens, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L U"] | None:
        """Mean over layers and heads of an encoder-decoder; None of a causal model, which has no such attention."""
        if not self.attends:
            return None
        memory = self.memory(tokens)
        usual = self.network.config._attn_implementation
        self.network.set_attn_implementation("eager")  # the others do not give their weights
        try:
            found = self.network(
                encoder_outputs=_outputs(memory.values),
                attention_mask=memory.mask.long(),
                decoder_input_ids=ids,
                output_attentions=True,
                use_cache=False,
            )
        finally:
            self.network.set_attn_implementation(usual)
        return torch.stack(found.cross_attentions).mean(dim=0).mean(dim=1)

    def start(self, tokens: Tokens) -> HfState:
        """The state in which nothing was written."""
        memory = self.memory(tokens)
        if self.attends:
            return HfState((), (), memory.values, memory.mask)
        cache = cache_of(())
        self._causal(memory.values, memory.mask, cache=cache)
        return HfState(pairs_of(cache), (), None, memory.mask)

    def step(self, state: HfState, ids: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B V"], HfState]:
        """Logits of the token after this one, and the state in which it was written."""
        ids, length = ids.unsqueeze(1), state.length + 1
        if self.attends:
            assert state.memory is not None, "an encoder-decoder attends to the memory"
            cache = two_caches_of(state.past, state.cross)
            logits = self._attending(state.memory, state.mask, ids, length=length, cache=cache)
            past, cross = pairs_of(cache.self_attention_cache), pairs_of(cache.cross_attention_cache)
        else:
            cache = cache_of(state.past)
            mask = torch.cat([state.mask, state.mask.new_ones(len(ids), length)], dim=1)
            logits = self._causal(self.network.get_input_embeddings()(ids), mask, cache=cache)
            past, cross = pairs_of(cache), ()
        return logits[:, -1], replace(state, past=past, cross=cross, length=length)

    def _attending(
        self,
        memory: Float[Tensor, "B T D"],
        mask: Bool[Tensor, "B T"],
        ids: Int[Tensor, "B L"],
        *,
        length: int | None = None,
        cache: Any = None,
        use_cache: bool = True,
    ) -> Tensor:
        """Logits of an encoder-decoder; the text is `length` tokens long by then."""
        self._check_length(ids.shape[1] if length is None else length)
        found = self.network(
            encoder_outputs=_outputs(memory),
            attention_mask=mask.long(),
            decoder_input_ids=ids,
            use_cache=use_cache,
            **{self._cache_name: cache},
        )
        logits: Tensor = found.logits
        return logits

    def _causal(
        self,
        embedded: Float[Tensor, "B L D"],
        mask: Bool[Tensor, "B T"],
        *,
        cache: Any = None,
        use_cache: bool = True,
    ) -> Tensor:
        """Logits of a causal model; the mask is of all tokens so far, of which these are the last."""
        if self.positions is not None and mask.shape[1] > self.positions:  # else nobody needs to count
            self._check_length(int(mask.sum(dim=1).max()))
        positions = (mask.cumsum(dim=1) - 1).clamp_min(0)[:, -embedded.shape[1] :]
        found = self.network(
            inputs_embeds=embedded,
            attention_mask=mask.long(),
            position_ids=positions,
            use_cache=use_cache,
            **{self._cache_name: cache},
        )
        logits: Tensor = found.logits
        return logits

    def _check_length(self, length: int) -> None:
        if self.positions is not None and length > self.positions:
            what = "a text" if self.attends else "the inputs' tokens and the text behind them"
            remedy = "" if self.attends else ", or give the inputs fewer tokens"
            raise ConfigError(
                f"{_FAMILY.who}: {what} would be {length} tokens long, and the network has {self.positions} positions. "
                f"Lower task.max_length and task.decoding.max_length{remedy}."
            )

    @torch.no_grad()
    def _match_size(self, network: Any) -> None:
        """Makes the memory as large at first as what the network is used to read, so that no text drowns in it."""
        embeddings = network.get_input_embeddings().weight
        usual = embeddings
        if self.attends:
            number = min(_NUM_PIECES, len(embeddings))
            pieces = torch.linspace(0, len(embeddings) - 1, number, device=embeddings.device).long()
            usual = network.get_encoder()(input_ids=pieces.unsqueeze(0)).last_hidden_state
        size = usual.square().mean().sqrt().item()
        linear = self.memory.linear
        nn.init.normal_(linear.weight, std=size / linear.in_features**0.5)
        nn.init.zeros_(linear.bias)
        nn.init.normal_(self.memory.nothing, std=size)


def _outputs(memory: Float[Tensor, "B T D"]) -> Any:
    """The memory in place of what an encoder gives."""
    from transformers.modeling_outputs import BaseModelOutput

    return BaseModelOutput(last_hidden_state=memory)


def _drop_encoder(network: Any) -> None:
    """What the memory stands for takes no room."""
    encoder = network.get_encoder()
    for module in network.modules():
        if getattr(module, "encoder", None) is encoder:
            module.encoder = None
            return
