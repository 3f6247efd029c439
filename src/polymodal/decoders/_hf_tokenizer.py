"""The tokenizer of a language model's checkpoint, and the ids that its network expects before and behind a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polymodal.errors import ConfigError
from polymodal.pretrained.checkpoints import Checkpoint
from polymodal.tokenizers import reversible, subwords


def learned_of(folder: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """What `reversible.CheckpointTokenizer` is made of.

    Raises:
        ConfigError: the folder holds no tokenizer, or one that does not fit the network.
        MissingExtraError: transformers is not installed.
    """
    family, network = checkpoint.family, checkpoint.config()
    tokenizer, size = _tokenizer(folder, checkpoint), int(network.vocab_size)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if largest >= size:
        raise ConfigError(
            f"{family.who}: the vocabulary does not fit. The tokenizer.json in {folder} has ids up to {largest}, the "
            f"network of its config.json has {size} pieces. Use a folder whose files were saved together; where tokens "
            "were added to a tokenizer, `resize_token_embeddings` of transformers makes the network fit."
        )
    ids = _reserved(network)
    for name, place in ids.items():
        if not isinstance(place, int) or not 0 <= place < size:
            raise ConfigError(
                f"{family.who}: the config.json in {folder} gives {place!r} as the id {name}; it must be one of the "
                f"{size} that the network has. Correct eos_token_id there, and pad_token_id or bos_token_id if need be."
            )
    return {
        "kind": reversible.CHECKPOINT,
        "file": (folder / "tokenizer.json").read_text(encoding="utf-8"),
        "size": size,
        "begin": ids["before a text"],
        "end": ids["behind a text"],
        "padding": ids["of padding"],
        "lead": _lead(tokenizer) if network.is_encoder_decoder else [],
    }


def _tokenizer(folder: Path, checkpoint: Checkpoint) -> Any:
    if not (folder / "tokenizer.json").is_file():
        raise ConfigError(f"{checkpoint.family.who}: {folder} holds no tokenizer.json. {checkpoint.family.expected}")
    return subwords.read(folder / "tokenizer.json")


def _reserved(network: Any) -> dict[str, Any]:
    """The ids that a text is put between; where the settings lack one, what transformers takes in its place."""
    end, padding, begin = (getattr(network, f"{name}_token_id", None) for name in ("eos", "pad", "bos"))
    end = end[0] if isinstance(end, list | tuple) and end else end
    padding, otherwise = end if padding is None else padding, end
    if network.is_encoder_decoder:
        begin, otherwise = getattr(network, "decoder_start_token_id", None), padding
    return {"behind a text": end, "of padding": padding, "before a text": otherwise if begin is None else begin}


def _lead(tokenizer: Any) -> list[int]:
    """The special tokens that an encoder-decoder's tokenizer puts before every text: `<s>` of BART's, none of T5's."""
    found = tokenizer.encode("a", add_special_tokens=True)
    number = next((place for place, special in enumerate(found.special_tokens_mask) if not special), 0)
    return list(found.ids[:number])
