"""What the audio encoders share: features, spans, padding that never shows, export."""

import dataclasses

import numpy as np
import pytest
import torch

from polymodal.abilities import Spanning
from polymodal.encoders.audio.cnn import Cnn
from polymodal.encoders.audio.embedding import Embedding
from polymodal.encoders.audio.rnn import Rnn
from polymodal.encoders.audio.transformer import Transformer
from polymodal.errors import ConfigError
from polymodal.layers.audio_features import Features
from polymodal.modalities.audio import Audio
from polymodal.types import Cells

SMALL = {
    Cnn: {"channels": 2},
    Rnn: {"width": 6},
    Embedding: {"width": 6},
    Transformer: {"channels": 2, "width": 8, "hidden": 8},
}
MODALITY = Audio(Audio.Config(sample_rate=8_000))


def noise(*num_samples: int) -> Cells:
    rng = np.random.default_rng(0)
    return MODALITY.collate([MODALITY.read(rng.uniform(-0.3, 0.3, n)) for n in num_samples])


def alone(cells: Cells, row: int) -> Cells:
    length = int(cells.lengths[row])
    return Cells(cells.values[row : row + 1, :length], cells.lengths[row : row + 1])


@pytest.mark.parametrize("name", ["log_mel", "stft", "fbank", "mfcc"])
@pytest.mark.parametrize("encoder", SMALL)
def test_padding_never_shows_on_any_feature(encoder, name):
    module = encoder(encoder.Config(**SMALL[encoder], features=Features(name=name, num_mels=24)), MODALITY).eval()
    cells = noise(4_000, 1_801, 5)
    tokens = module(cells)
    for row in range(3):
        single = module(alone(cells, row))
        length = int(tokens.mask[row].sum())
        assert single.mask.shape[1] == length
        torch.testing.assert_close(tokens.values[row, :length], single.values[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "settings", "span"),
    [(Rnn, {"stack": 3}, 0.03), (Rnn, {"stack": 1}, 0.01), (Transformer, {"downsampling_stages": 2}, 0.04)],
)
def test_gives_a_token_for_each_span(encoder, settings, span):
    module = encoder(encoder.Config(**SMALL[encoder], **settings), MODALITY).eval()
    assert module.token_span == pytest.approx(span)
    seconds = np.array([1.0, 0.5, 0.001])
    tokens = module(noise(*(seconds * 8_000).astype(int)))
    assert tokens.mask.sum(dim=1).tolist() == np.ceil(np.round(seconds / span, 6)).astype(int).tolist()


@pytest.mark.parametrize("seconds", [3600.0, 0.08, 0.04, 0.03, 0.02, 0.015, 0.01, 0.004])
@pytest.mark.parametrize("encoder", [Cnn, Rnn, Embedding, Transformer])
def test_spanning_gives_settings_with_tokens_of_at_most_so_many_seconds(encoder, seconds):
    assert issubclass(encoder, Spanning)
    config = encoder.Config(**SMALL[encoder], features=Features(num_mels=24))
    before = encoder(config, MODALITY)
    shorter = encoder.spanning(config, seconds)
    module = encoder(shorter, MODALITY).eval()
    assert module.keeps_time
    assert module.token_span <= seconds + 1e-9
    assert module.token_span > min(seconds, before.token_span) / 2 - 1e-9  # no shorter than it must be
    assert (shorter == config) == (before.token_span <= seconds)
    assert int(module(noise(4_000)).mask.sum()) == pytest.approx(0.5 / module.token_span, abs=1)


@pytest.mark.parametrize(
    ("encoder", "seconds", "settings"),
    [(Rnn, 0.03, {"stack": 3}), (Cnn, 0.05, {"blocks": 2}), (Transformer, 0.079, {"downsampling_stages": 2})],
)
def test_spanning_changes_nothing_but_what_makes_tokens_long(encoder, seconds, settings):
    config = encoder.Config(**SMALL[encoder], features=Features(name="fbank"))
    assert encoder.spanning(config, seconds) == dataclasses.replace(config, **settings)


@pytest.mark.parametrize("encoder", [Rnn, Transformer])
def test_order_in_time_matters(encoder):
    torch.manual_seed(0)
    module = encoder(encoder.Config(**SMALL[encoder]), MODALITY).eval()
    cells = noise(4_000)
    turned = Cells(cells.values.flip(1), cells.lengths)
    mean, mean_turned = (module(given).values.mean(dim=1) for given in (cells, turned))
    assert not torch.allclose(mean, mean_turned, atol=1e-3)


def test_transformer_knows_where_a_token_stands():
    torch.manual_seed(0)
    module = Transformer(Transformer.Config(**SMALL[Transformer]), MODALITY).eval()
    once = noise(640).values  # as long as a token: far from both ends all tokens hear the same
    tokens = module(Cells(once.repeat(1, 12), torch.tensor([12 * 640])))
    assert tokens.values.shape[1] == 12
    assert not torch.allclose(tokens.values[0, 5], tokens.values[0, 6], atol=1e-2)


def test_transformer_exports_with_any_number_of_rows_and_samples():
    config = Transformer.Config(**SMALL[Transformer], features=Features(name="fbank"))
    module = Transformer(config, MODALITY).eval()

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = module

        def forward(self, values, lengths):
            tokens = self.encoder(Cells(values, lengths))
            return tokens.values, tokens.mask

    rows, steps = torch.export.Dim("rows"), torch.export.Dim("steps", min=840)
    example = noise(4_000, 1_000, 2_500)
    shapes = ({0: rows, 1: steps}, {0: rows})
    exported = torch.export.export(Plain(), (example.values, example.lengths), dynamic_shapes=shapes).module()
    other = noise(3_333, 900)
    values, mask = exported(other.values, other.lengths)
    torch.testing.assert_close(values, module(other).values, rtol=1e-4, atol=1e-5)
    assert torch.equal(mask, module(other).mask)


def test_refuse_widths_that_do_not_divide():
    with pytest.raises(ConfigError, match="Audio encoder 'rnn': width must be even when bidirectional; got 7"):
        Rnn(Rnn.Config(width=7), MODALITY)
    with pytest.raises(ConfigError, match="Audio encoder 'transformer': width must be a multiple of heads; got 8, 3"):
        Transformer(Transformer.Config(width=8, heads=3), MODALITY)
