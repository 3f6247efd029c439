"""Checkpoints of a few thousand weights, made from their settings and saved as transformers saves any."""

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import torch

WIDTH = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
PICTURE = {"image_size": 16, "patch_size": 8, **WIDTH}
CLIP = {**PICTURE, "num_frames": 4}
STAGES = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "patch_size": 2}
WAVES = {
    "conv_dim": [8, 8], "conv_kernel": [10, 3], "conv_stride": [5, 2], "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, **WIDTH,
}  # fmt: skip
LAYERS = {
    "d_model": 16, "encoder_layers": 3, "decoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32,
    "decoder_attention_heads": 2, "decoder_ffn_dim": 32, "num_mel_bins": 16, "max_source_positions": 20,
    "max_target_positions": 8, "vocab_size": 30, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1,
}  # fmt: skip
BANKS = {**WIDTH, "num_mel_bins": 32, "max_length": 40, "patch_size": 8, "frequency_stride": 6, "time_stride": 6}

IMAGES = {
    "beit": ("BeitConfig", "BeitModel", PICTURE),
    "clip_vision": ("CLIPVisionConfig", "CLIPVisionModel", PICTURE),
    "convnext": ("ConvNextConfig", "ConvNextModel", STAGES),
    "convnextv2": ("ConvNextV2Config", "ConvNextV2Model", STAGES),
    "deit": ("DeiTConfig", "DeiTModel", PICTURE),
    "dinov2": ("Dinov2Config", "Dinov2Model", PICTURE),
    "registers": ("Dinov2WithRegistersConfig", "Dinov2WithRegistersModel", {**PICTURE, "num_register_tokens": 2}),
    "resnet": (
        "ResNetConfig",
        "ResNetModel",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
    ),
    "siglip_vision": ("SiglipVisionConfig", "SiglipVisionModel", PICTURE),
    "swin": (
        "SwinConfig",
        "SwinModel",
        {"image_size": 16, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
    ),
    "vit": ("ViTConfig", "ViTForImageClassification", PICTURE),
    "vit_msn": ("ViTMSNConfig", "ViTMSNModel", PICTURE),
}
VIDEOS = {
    "timesformer": ("TimesformerConfig", "TimesformerModel", CLIP),
    "videomae": ("VideoMAEConfig", "VideoMAEForVideoClassification", CLIP),
    "vivit": ("VivitConfig", "VivitModel", {**CLIP, "tubelet_size": [2, 8, 8]}),
}
SOUNDS = {
    "ast": ("ASTConfig", "ASTForAudioClassification", BANKS),
    "hubert": ("HubertConfig", "HubertModel", WAVES),
    "unispeech": ("UniSpeechConfig", "UniSpeechModel", WAVES),
    "unispeech_sat": ("UniSpeechSatConfig", "UniSpeechSatModel", WAVES),
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2ForCTC", {**WAVES, "vocab_size": 5}),
    "wav2vec2_stable": (
        "Wav2Vec2Config",
        "Wav2Vec2Model",
        {**WAVES, "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
    ),
    "whisper": ("WhisperConfig", "WhisperForConditionalGeneration", LAYERS),
}
KINDS = {**IMAGES, **VIDEOS, **SOUNDS}


@cache
def folder(kind: str) -> Path:
    """A checkpoint of one of `KINDS` with the preprocessing that belongs to it; not to be changed."""
    place = mkdtemp(prefix="tiny-")
    atexit.register(shutil.rmtree, place)
    made = Path(place) / kind
    config, model, settings = KINDS[kind]
    save(made, config, model, **settings)
    extractor(kind).save_pretrained(made)
    return made


def save(made: Path, config: str, model: str, **settings) -> None:
    """A network with random weights, none of which is zero."""
    import transformers

    torch.manual_seed(0)
    network = getattr(transformers, model)(getattr(transformers, config)(**settings))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    network.save_pretrained(made)


def extractor(kind: str):
    """What transformers itself would prepare cells with."""
    import transformers

    if kind in SOUNDS and kind not in ("whisper", "ast"):
        return transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    if kind == "whisper":
        return transformers.WhisperFeatureExtractor(feature_size=16)
    if kind == "ast":
        return transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=40)
    return transformers.ViTImageProcessor(
        size={"height": 16, "width": 16}, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.25]
    )
