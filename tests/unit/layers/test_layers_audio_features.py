import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from polymodal.errors import ConfigError
from polymodal.layers.audio_features import AudioFeatures, Features, FeaturesField, stack_frames
from polymodal.layers.fbank import Fbank
from polymodal.layers.spectral import LogSpectrogram, Mfcc

RATE = 8_000
NAMES = ["log_mel", "stft", "fbank", "mfcc"]
SAMPLES = torch.from_numpy(np.random.default_rng(0).uniform(-0.3, 0.3, (2, 2_000)).astype(np.float32))
LENGTHS = torch.tensor([2_000, 700])


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("log_mel", LogSpectrogram(RATE, num_mels=30, window_seconds=0.03, hop_seconds=0.02)),
        ("stft", LogSpectrogram(RATE, window_seconds=0.03, hop_seconds=0.02)),
        ("fbank", Fbank(RATE, num_mels=30, window_seconds=0.03, hop_seconds=0.02)),
        ("mfcc", Mfcc(RATE, num_coefficients=12, num_mels=30, window_seconds=0.03, hop_seconds=0.02)),
    ],
)
def test_is_the_named_feature_of_each_clip_standardised(name, layer):
    config = Features(name=name, num_mels=30, num_coefficients=12, window_seconds=0.03, hop_seconds=0.02)
    features = AudioFeatures(config, RATE)
    frames, lengths = features(SAMPLES, LENGTHS)
    raw = layer(SAMPLES, LENGTHS).double().numpy()
    assert features.hop_seconds == pytest.approx(0.02)
    assert frames.shape[2] == features.num_bands == raw.shape[2]
    for row, length in enumerate(lengths.tolist()):
        clip, axis = raw[row, :length], 0 if name == "mfcc" else None
        expected = (clip - clip.mean(axis, keepdims=True)) / clip.std(axis, keepdims=True)
        np.testing.assert_allclose(frames[row, :length], expected, rtol=1e-3, atol=1e-3)
        assert not frames[row, length:].any()


@pytest.mark.parametrize("name", NAMES)
def test_does_not_hear_loudness(name):
    features = AudioFeatures(Features(name=name, num_mels=20), RATE)
    quiet, loud = features(SAMPLES * 0.5, LENGTHS)[0], features(SAMPLES, LENGTHS)[0]
    torch.testing.assert_close(quiet, loud, rtol=1e-3, atol=2e-3)


def test_hides_bands_and_stretches_in_training_only():
    features = AudioFeatures(Features(band_masks=1, time_masks=1), RATE)
    assert not torch.equal(features(SAMPLES, LENGTHS)[0], features(SAMPLES, LENGTHS)[0])
    features.eval()
    assert torch.equal(features(SAMPLES, LENGTHS)[0], features(SAMPLES, LENGTHS)[0])


def test_refuses_more_coefficients_than_bands():
    with pytest.raises(ConfigError, match="num_coefficients is 20, but there are only 12 mel bands"):
        AudioFeatures(Features(name="mfcc", num_mels=12), RATE)


def test_a_name_alone_is_enough():
    assert TypeAdapter(FeaturesField).validate_python("fbank") == Features(name="fbank")


def test_stacked_frames_stand_side_by_side_and_zeros_fill_the_last_step_of_a_row():
    frames = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 0.0, 0.0, 0.0]]).unsqueeze(2)
    steps, lengths = stack_frames(frames, torch.tensor([5, 2]), count=2)
    assert steps.tolist() == [[[1, 2], [3, 4], [5, 0]], [[6, 7], [0, 0], [0, 0]]]
    assert lengths.tolist() == [3, 1]
