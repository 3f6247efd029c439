import pytest
import torch

from polymodal.encoders.text.transformer import Transformer
from polymodal.errors import ConfigError
from polymodal.layers.positions import LearnedPositions
from polymodal.modalities.text import Text
from polymodal.testing import sample_cells
from polymodal.types import Cells


@pytest.fixture
def text() -> Text:
    unfitted = Text(Text.Config())
    return Text(Text.Config(), unfitted.fit([unfitted.read(cell) for cell in sample_cells("text")]))


def texts(modality: Text, *cells: str) -> Cells:
    return modality.collate([modality.read(cell) for cell in cells])


def test_keeps_a_token_for_each_piece(text):
    cells = texts(text, "a small red cat", "sun")
    tokens = Transformer(Transformer.Config(width=8), text)(cells)
    assert tokens.mask.sum(dim=1).tolist() == cells.lengths.tolist()


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_knows_the_order_of_words(text, positions):
    encoder = Transformer(Transformer.Config(positions=positions), text).eval()
    first, second = encoder(texts(text, "dog red", "red dog")).values.mean(dim=1)
    assert not torch.allclose(first, second, atol=1e-3)


def test_what_and_where_are_equally_large_at_first(text):
    encoder = Transformer(Transformer.Config(), text)
    words = encoder.embedding.weight.detach()
    places = encoder.positions(torch.zeros(1, 200, 128))
    assert float(places.square().mean().sqrt()) == pytest.approx(float(words.square().mean().sqrt()), rel=0.1)


def test_learned_positions_reach_as_far_as_a_text_may(text):
    encoder = Transformer(Transformer.Config(width=8, positions="learned"), text).eval()
    cells = texts(text, "red sun " * 1_000)
    assert int(cells.lengths) == text.max_tokens
    assert isinstance(encoder.positions, LearnedPositions)
    assert torch.isfinite(encoder(cells).values).all()


def test_refuses_a_width_that_its_heads_do_not_share(text):
    with pytest.raises(ConfigError, match="width must be a multiple of heads; got 10, 4"):
        Transformer(Transformer.Config(width=10), text)
