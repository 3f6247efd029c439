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
    features = AudioFeatures(config, RATE).eval()
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
    features = AudioFeatures(Features(name=name, num_mels=20), RATE).eval()
    quiet, loud = features(SAMPLES * 0.5, LENGTHS)[0], features(SAMPLES, LENGTHS)[0]
    torch.testing.assert_close(quiet, loud, rtol=1e-3, atol=2e-3)


def test_hides_bands_and_stretches_in_training_only():
    features = AudioFeatures(Features(band_masks=1, time_masks=1, frequency_warp=0.0), RATE)
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


def tone(hertz):
    return torch.sin(2 * torch.pi * hertz * torch.arange(RATE) / RATE).unsqueeze(0)


@pytest.mark.parametrize("name", ["log_mel", "stft", "fbank"])
def test_in_training_frequencies_move_by_up_to_their_share(name):
    features = AudioFeatures(Features(name=name, frequency_warp=0.2), RATE)
    samples, lengths = tone(1_000.0).expand(300, -1), torch.full((300,), RATE)
    peaks = np.array(features.extract.frequencies)[features(samples, lengths)[0].mean(dim=1).argmax(dim=1).numpy()]
    assert 1_000 * np.exp(-0.2) - 60 <= peaks.min() <= 870 and 1_150 <= peaks.max() <= 1_000 * np.exp(0.2) + 60
    assert len(set(peaks.tolist())) > 5  # each row by a factor of its own
    features.eval()
    assert torch.equal(features(samples[:1], lengths[:1])[0], features(samples[:1], lengths[:1])[0])


@pytest.mark.parametrize("name", ["log_mel", "stft", "fbank"])
def test_a_moved_spectrogram_is_interpolated_between_its_bands(name):
    features = AudioFeatures(Features(name=name, num_mels=30, frequency_warp=0.15), RATE)
    known = np.array(features.extract.frequencies)
    frames = features.eval()(SAMPLES[:1], LENGTHS[:1])[0]
    torch.manual_seed(5)
    moved = features.train()(SAMPLES[:1], LENGTHS[:1])[0]
    torch.manual_seed(5)
    factor = np.exp(0.15 * (2 * float(torch.rand(1)) - 1))
    expected = [np.interp(known * factor, known, frame) for frame in frames[0].numpy()]
    np.testing.assert_allclose(moved[0], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "config", [Features(name="mfcc", frequency_warp=0.3), Features(num_mels=1, frequency_warp=0.3)]
)
def test_what_has_no_bands_to_move_between_stays(config):
    features = AudioFeatures(config, RATE)
    assert torch.equal(features(SAMPLES, LENGTHS)[0], features(SAMPLES, LENGTHS)[0])


@pytest.mark.parametrize("name", NAMES)
def test_trains_in_bfloat16(name):
    features = AudioFeatures(Features(name=name, num_mels=20), RATE)
    expected = features.eval()(SAMPLES, LENGTHS)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, trained = features(SAMPLES, LENGTHS)[0], features.train()(SAMPLES, LENGTHS)[0]
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.1)
    assert trained.isfinite().all()
