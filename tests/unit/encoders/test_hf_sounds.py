import numpy as np
import pytest
import torch
from tiny import SOUNDS, extractor, folder

from polymodal.encoders.audio.hf import Hf, HfConfig
from polymodal.errors import ConfigError
from polymodal.modalities.audio import Audio
from polymodal.testing import check_encoder


def encoder_and_cells(kind, lengths=(3_000, 1_234, 7), *, audio=None, **settings):
    config = HfConfig(checkpoint=str(folder(kind)), **settings)
    modality = Audio(Audio.Config(**{"max_seconds": 0.3, **Hf.needs(config), **(audio or {})}))
    rng = np.random.default_rng(0)
    waves = [(rng.uniform(-1, 1, length) * 8_000).astype(np.int16) for length in lengths]
    return Hf(config, modality), modality.collate(waves)


@pytest.mark.parametrize("train", ["frozen", "top", "lora"])
@pytest.mark.parametrize("kind", ["wav2vec2", "whisper", "ast"])
def test_keeps_the_contract_however_it_learns(kind, train):
    check_encoder("hf", "audio", settings={"checkpoint": str(folder(kind)), "train": train, "pool": "none"})


@pytest.mark.parametrize("kind", sorted(SOUNDS))
def test_every_kind_keeps_the_contract(kind):
    check_encoder("hf", "audio", settings={"checkpoint": str(folder(kind)), "train": "full"})


@pytest.mark.parametrize("kind", ["wav2vec2", "wav2vec2_stable", "hubert", "unispeech"])
def test_a_padded_row_equals_what_transformers_gives_for_it_alone(kind):
    from transformers import AutoModel

    encoder, cells = encoder_and_cells(kind, pool="none")
    tokens = encoder(cells)
    network = AutoModel.from_pretrained(folder(kind)).eval()
    for row, length in ((0, 3_000), (1, 1_234)):
        wave = extractor(kind)(cells.values[row, :length].numpy(), sampling_rate=16_000, return_tensors="pt")
        with torch.no_grad():
            expected = network(wave["input_values"]).last_hidden_state[0]
        torch.testing.assert_close(tokens.values[row][tokens.mask[row]], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["whisper", "ast"])
def test_features_equal_those_of_the_extractor_of_transformers(kind):
    encoder, cells = encoder_and_cells(kind, lengths=(3_000, 1_234))
    window = {"max_length": 6_400} if kind == "whisper" else {}
    waves = [wave[:length].numpy() for wave, length in zip(cells.values, (3_000, 1_234), strict=True)]
    found = extractor(kind)(waves, sampling_rate=16_000, return_tensors="pt", **window)
    expected = found["input_features" if kind == "whisper" else "input_values"]
    torch.testing.assert_close(encoder.reader.features(cells.values, cells.lengths), expected, rtol=1e-3, atol=1e-3)


def test_whisper_counts_the_tokens_of_the_recording_alone():
    encoder, cells = encoder_and_cells("whisper", pool="none")
    assert encoder(cells).mask.sum(dim=1).tolist() == [10, 4, 1]  # of 320 samples each
    assert (encoder.token_span, encoder.keeps_time) == (0.02, True)
    pooled, _ = encoder_and_cells("whisper")
    assert (pooled.token_span, pooled.keeps_time) == (None, False)
    assert Hf.spanning(pooled.config, 0.02) == encoder.config
    assert not any("decoder" in name for name, _ in encoder.named_parameters())


def test_asts_vector_is_that_of_transformers():
    from transformers import ASTModel

    encoder, cells = encoder_and_cells("ast", lengths=(3_000, 1_234))
    with torch.no_grad():
        features = encoder.reader.features(cells.values, cells.lengths)
        expected = ASTModel.from_pretrained(folder("ast")).eval()(features).pooler_output
    torch.testing.assert_close(encoder(cells).values[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_needs_rate_and_window():
    assert Hf.needs(HfConfig(checkpoint=str(folder("wav2vec2")))) == {"sample_rate": 16_000}
    assert Hf.needs(HfConfig(checkpoint=str(folder("whisper")))) == {"sample_rate": 16_000, "max_seconds": 0.4}


@pytest.mark.parametrize(
    ("kind", "setting", "length"), [("whisper", "max_source_positions", 10), ("ast", "max_length", 20)]
)
def test_a_shorter_window_has_the_first_positions(kind, setting, length):
    whole, _ = encoder_and_cells(kind)
    short, cells = encoder_and_cells(kind, seconds=0.2, pool="none")
    assert short.portable["architecture"][setting] == length
    assert short(cells).mask.shape[1] < whole.reader.num_frames / 2
    if kind == "whisper":
        assert torch.equal(short.network.embed_positions.weight, whole.network.embed_positions.weight[:10])
    else:  # two class tokens, then five bands of six steps each, of which three are left
        grid = whole.network.embeddings.position_embeddings[0, 2:].view(5, 6, 16)
        assert torch.equal(short.network.embeddings.position_embeddings[0, 2:].view(5, 3, 16), grid[:, :3])


def test_the_window_may_be_as_long_as_the_columns():
    encoder, _ = encoder_and_cells("whisper", seconds="column", audio={"max_seconds": 0.25})
    assert "max_seconds" not in Hf.needs(encoder.config)
    assert encoder.reader.window_seconds == pytest.approx(0.26)  # whole tokens
    assert encoder.portable["seconds"] is None


@pytest.mark.parametrize(
    ("kind", "settings", "audio", "words"),
    [
        ("whisper", {"seconds": 0.5}, {}, "seconds is 0.5; this checkpoint reads up to 0.4"),
        ("wav2vec2", {"seconds": 0.5}, {}, "recordings of any length"),
        ("wav2vec2", {}, {"sample_rate": 8_000}, "8000 samples a second, the checkpoint was trained on 16000"),
        ("whisper", {}, {"max_seconds": 1.0}, "keeps 1 seconds, the network hears 0.4"),
        ("wav2vec2", {"pool": "first"}, {}, "pool: first needs"),
    ],
)
def test_what_does_not_fit_is_refused(kind, settings, audio, words):
    with pytest.raises(ConfigError, match=words):
        encoder_and_cells(kind, audio=audio, **settings)
