import pytest

from polymodal import registry
from polymodal.testing import check_encoder

# They need a checkpoint: test_hf*.py and test_timm.py in tests/unit/encoders make small ones and check the contract.
PRETRAINED = {("text", "hf"), ("image", "hf"), ("audio", "hf"), ("video", "hf"), ("image", "timm")}
ENCODERS = {(kind, name) for kind in registry.names("encoders") for name in registry.names(f"encoders/{kind}")}

# Settings beside the defaults that change what is computed.
VARIANTS = [
    ("text", "rnn", {"cell": "rnn", "layers": 2, "width": 6, "bidirectional": False}),
    ("text", "rnn", {"cell": "lstm", "layers": 2, "width": 6}),
    ("image", "cnn", {"grid": 1, "blocks": 1, "activation": "gelu"}),
    ("image", "cnn", {"grid": 3, "spatial_tokens": True}),
    ("image", "resnet", {"spatial_tokens": True}),
    ("text", "transformer", {"positions": "learned", "heads": 2, "width": 6, "activation": "relu"}),
    ("audio", "cnn", {"features": {"num_mels": 21}, "channels": 3, "activation": "sigmoid", "blocks": 4}),
    ("audio", "cnn", {"features": "stft", "channels": 2}),
    ("audio", "rnn", {"features": "mfcc", "stack": 1, "cell": "lstm", "bidirectional": False, "width": 7}),
    ("audio", "transformer", {"features": "fbank", "downsampling_stages": 1, "heads": 1}),
    ("table", "mlp", {"layers": 1, "activation": "tanh"}),
    ("table", "ft_transformer", {"layers": 1, "width": 6, "heads": 2, "activation": "relu"}),
    ("image", "vit", {"layers": 1, "patch": 5, "pool": "class", "positions": "learned", "width": 12, "heads": 3}),
    ("image", "vit", {"layers": 1, "patch": 16, "spatial_tokens": True, "pool": "class"}),
]


# The smallest pictures that it takes: with its own size the check takes ten seconds.
SMALLER = {("image", "inception"): {"size": 75}}


@pytest.mark.parametrize(("modality", "name"), sorted(ENCODERS - PRETRAINED))
def test_encoder_keeps_the_contract(modality, name):
    check_encoder(name, modality, settings=SMALLER.get((modality, name)))


@pytest.mark.parametrize(("modality", "name", "settings"), VARIANTS)
def test_encoder_keeps_the_contract_with_other_settings(modality, name, settings):
    check_encoder(name, modality, settings=settings)
