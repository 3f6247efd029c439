import numpy as np
import pytest
import torch
from tiny import VIDEOS, folder

from polymodal.encoders.video.hf import Hf, HfConfig
from polymodal.errors import ConfigError
from polymodal.modalities.video import Video
from polymodal.testing import check_encoder


def encoder_and_cells(kind, lengths=(4, 2, 1), **settings):
    config = HfConfig(checkpoint=str(folder(kind)), **settings)
    modality = Video(Video.Config(clip_seconds=2.0, **Hf.needs(config)))
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (length, 3, 16, 16), dtype=np.uint8) for length in lengths]
    return Hf(config, modality), modality.collate(clips)


@pytest.mark.parametrize("train", ["frozen", "top", "lora"])
def test_keeps_the_contract_however_it_learns(train):
    check_encoder("hf", "video", settings={"checkpoint": str(folder("videomae")), "train": train, "pool": "none"})


@pytest.mark.parametrize("kind", sorted(VIDEOS))
def test_every_kind_keeps_the_contract(kind):
    check_encoder("hf", "video", settings={"checkpoint": str(folder(kind)), "train": "full"})


def expected_states(kind, clip):
    from transformers import AutoModel

    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.4, 0.5, 0.6), (0.2, 0.3, 0.25)))
    with torch.no_grad():
        return AutoModel.from_pretrained(folder(kind)).eval()((clip[None] / 255 - mean) / deviation).last_hidden_state


def test_equals_the_mean_of_what_transformers_gives():
    encoder, cells = encoder_and_cells("videomae")
    expected = expected_states("videomae", cells.values[0]).mean(dim=1)[0]
    torch.testing.assert_close(encoder(cells).values[0, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(VIDEOS))
def test_tokens_keep_the_order_of_time(kind):
    """The last frames of a clip change the last token most."""
    encoder, cells = encoder_and_cells(kind, lengths=(4, 4), pool="none")
    values = cells.values.clone()
    values[1] = values[0]
    values[1, 3] = 255 - values[0, 3]
    change = (encoder(type(cells)(values, cells.lengths)).values.diff(dim=0)[0]).norm(dim=1)
    assert int(change.argmax()) == len(change) - 1


def test_a_shorter_clip_fills_the_frames():
    encoder, cells = encoder_and_cells("videomae")
    stretched = cells.values[1, [0, 0, 1, 1]]
    expected = expected_states("videomae", stretched).mean(dim=1)[0]
    torch.testing.assert_close(encoder(cells).values[1, 0], expected, rtol=1e-4, atol=1e-5)


def test_needs_the_frames_and_their_size_and_says_how_long_a_token_is():
    encoder, _ = encoder_and_cells("videomae", pool="none")
    assert Hf.needs(encoder.config) == {"size": 16, "max_frames": 4}
    assert encoder.keeps_time
    assert encoder.token_span == 1.0  # two frames of four in two seconds


def test_frames_of_another_size_are_refused():
    config = HfConfig(checkpoint=str(folder("videomae")))
    with pytest.raises(ConfigError, match="frames have 32 pixels a side, the checkpoint reads 16"):
        Hf(config, Video(Video.Config(size=32)))
