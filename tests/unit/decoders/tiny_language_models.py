"""Language models of a few thousand random weights with a tokenizer, saved as transformers saves any."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

TEXTS = [f"{size} {colour} {shape}s here" for size in ("one", "two", "three")
         for colour in ("red", "green", "blue") for shape in ("circle", "square", "star")]  # fmt: skip
HALVES = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
          "encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 64}  # fmt: skip
STACK = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2,
      "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1}  # fmt: skip
ROTARY = {"rope_theta": 50.0, "rope_type": "default"}

KINDS = {
    "gpt2": ("GPT2", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}),
    "gpt_neox": ("GPTNeoX", {**STACK, "rope_parameters": {**ROTARY, "partial_rotary_factor": 0.5}}),
    "llama": ("Llama", {**STACK, "num_key_value_heads": 1, "rope_parameters": ROTARY}),
    "opt": ("OPT", {"hidden_size": 16, "ffn_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
                    "word_embed_proj_dim": 8, "max_position_embeddings": 64}),
    "t5": ("T5", T5),
    "t5_untied": ("T5", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "mt5": ("MT5", {**T5, "num_layers": 1}),
    "bart": ("Bart", HALVES),
    "pegasus": ("Pegasus", {**HALVES, "decoder_start_token_id": 0, "eos_token_id": 1}),
}  # fmt: skip
RESERVED = {
    "t5": ["<pad>", "</s>", "<unk>"],
    "t5_untied": ["<pad>", "</s>", "<unk>"],
    "mt5": ["<pad>", "</s>", "<unk>"],
    "bart": ["<s>", "<pad>", "</s>"],
    "pegasus": ["<pad>", "</s>", "<unk>"],
}


def save(folder: Path, kind: str, *, deviation: float = 0.1, **others: object) -> Path:
    """A checkpoint with its tokenizer; the more its weights deviate from zero, the surer it is of what it says.

    Others are settings of its architecture in place of those of `KINDS`.
    """
    import transformers

    written = tokenizer(kind)
    name, settings = KINDS[kind][0], {**KINDS[kind][1], **others}
    if kind not in RESERVED:
        settings = {**settings, "bos_token_id": 1, "eos_token_id": 0}
    config = getattr(transformers, f"{name}Config")(vocab_size=written.get_vocab_size(), **settings)
    cls = f"{name}{'ForConditionalGeneration' if config.is_encoder_decoder else 'ForCausalLM'}"
    cls = {"GPT2ForCausalLM": "GPT2LMHeadModel"}.get(cls, cls)
    torch.manual_seed(0)
    network = getattr(transformers, cls)(config)
    with torch.no_grad():
        if kind == "t5_untied":
            network.lm_head.weight = torch.nn.Parameter(torch.randn_like(network.lm_head.weight))
        for parameter in network.parameters():
            parameter.copy_(deviation * torch.randn_like(parameter) + (parameter.ndim == 1))
    network.save_pretrained(folder)
    written.save(str(folder / "tokenizer.json"))
    return folder


def tokenizer(kind: str) -> Tokenizer:
    """Groups of bytes, or for T5 likely pieces (Unigram), as the real ones."""
    reserved = RESERVED.get(kind, ["<|end|>", "<|begin|>"])
    if kind in ("t5", "t5_untied", "mt5"):
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=60, special_tokens=reserved, unk_token="<unk>", show_progress=False
        )
    else:
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=reserved, initial_alphabet=sorted(alphabet),
                                      show_progress=False)  # fmt: skip
    made.train_from_iterator(TEXTS, trainer)
    if kind in RESERVED:
        begin = "<s> " if "<s>" in reserved else ""
        marks = [(token, made.token_to_id(token)) for token in reserved if token in ("<s>", "</s>")]
        made.post_processor = processors.TemplateProcessing(single=f"{begin}$A </s>", special_tokens=marks)
    return made
