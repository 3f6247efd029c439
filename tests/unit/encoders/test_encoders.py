"""What each encoder computes, beyond the contract that all share."""

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfTransformer

from polymodal.encoders.audio.cnn import Cnn as AudioCnn
from polymodal.encoders.image.cnn import Cnn as ImageCnn
from polymodal.encoders.image.inception import Inception
from polymodal.encoders.image.resnet import Resnet
from polymodal.encoders.table.mlp import Mlp
from polymodal.encoders.text.bag import Bag
from polymodal.encoders.text.rnn import Rnn
from polymodal.errors import ConfigError
from polymodal.layers.audio_features import Features
from polymodal.modalities.audio import Audio
from polymodal.modalities.category import Category
from polymodal.modalities.image import Image
from polymodal.modalities.number import Number
from polymodal.modalities.text import Text
from polymodal.testing import sample_cells
from polymodal.types import Cells


@pytest.fixture
def text() -> Text:
    unfitted = Text(Text.Config())
    return Text(Text.Config(), unfitted.fit([unfitted.read(cell) for cell in sample_cells("text")]))


def texts(modality: Text, *cells: str) -> Cells:
    return modality.collate([modality.read(cell) for cell in cells])


def test_bag_is_the_tfidf_of_its_pieces_times_their_embeddings(text):
    encoder = Bag(Bag.Config(width=8), text).eval()
    counted = [text.collate([text.read(cell)]).values.numpy().ravel() for cell in sample_cells("text")]
    reference = TfidfTransformer().fit(np.stack([np.bincount(ids, minlength=text.vocabulary_size) for ids in counted]))
    cells = texts(text, "a red dog", "sun")
    table = encoder.embedding.weight.detach().numpy()
    ids = [cells.values[row, :length].numpy() for row, length in enumerate(cells.lengths.tolist())]
    assert all(len(set(of_row)) == len(of_row) for of_row in ids)  # each piece once: no counts to weigh
    features = reference.transform(np.stack([np.bincount(of_row, minlength=len(table)) for of_row in ids])).toarray()
    np.testing.assert_allclose(encoder(cells).values[:, 0].detach(), features @ table, rtol=1e-5, atol=1e-7)


def test_bag_can_be_the_mean_of_the_embeddings_of_its_pieces(text):
    encoder = Bag(Bag.Config(width=8, weighting="mean"), text).eval()
    cells = texts(text, "a red dog", "sun")
    tokens = encoder(cells)
    table = encoder.embedding.weight.detach().numpy()
    for row, length in enumerate(cells.lengths.tolist()):
        expected = table[cells.values[row, :length].numpy()].mean(axis=0)
        np.testing.assert_allclose(tokens.values[row, 0].detach(), expected, rtol=1e-5, atol=1e-7)


def test_bag_ignores_the_order_of_words_and_rnn_does_not(text):
    cells = texts(text, "dog red", "red dog")
    bag = Bag(Bag.Config(), text).eval()(cells).values
    rnn = Rnn(Rnn.Config(), text).eval()(cells).values
    torch.testing.assert_close(bag[0], bag[1])
    assert not torch.allclose(rnn[0], rnn[1])


def test_rnn_keeps_a_token_for_each_piece(text):
    cells = texts(text, "a small red cat", "sun")
    tokens = Rnn(Rnn.Config(width=6), text)(cells)
    assert tokens.mask.sum(dim=1).tolist() == cells.lengths.tolist()


def test_rnn_refuses_an_odd_width_in_two_directions(text):
    with pytest.raises(ConfigError, match="width must be even"):
        Rnn(Rnn.Config(width=7), text)


def tones(modality: Audio, *num_samples: int) -> Cells:
    rng = np.random.default_rng(0)
    return modality.collate([modality.read(rng.uniform(-0.3, 0.3, n)) for n in num_samples])


def test_audio_cnn_gives_a_token_for_each_span():
    modality = Audio(Audio.Config())
    encoder = AudioCnn(AudioCnn.Config(channels=2, blocks=3), modality).eval()
    tokens = encoder(tones(modality, 16_000, 8_000, 1))
    assert encoder.token_span == pytest.approx(0.08)
    assert tokens.mask.sum(dim=1).tolist() == [13, 7, 1]  # 1 s and 0.5 s in spans of 0.08 s, rounded up


def test_audio_cnn_does_not_hear_loudness():
    modality = Audio(Audio.Config())
    encoder = AudioCnn(AudioCnn.Config(channels=2), modality).eval()
    cells = tones(modality, 4_000)
    quiet = Cells(cells.values * 0.1, cells.lengths)
    torch.testing.assert_close(encoder(quiet).values, encoder(cells).values, rtol=1e-3, atol=1e-3)


def test_audio_cnn_hides_parts_of_the_spectrogram_in_training_only():
    modality = Audio(Audio.Config())
    cells = tones(modality, 4_000)
    encoder = AudioCnn(
        AudioCnn.Config(channels=2, dropout=0.0, features=Features(band_masks=2, time_masks=2)), modality
    )
    assert not torch.equal(encoder(cells).values, encoder(cells).values)
    encoder.eval()
    assert torch.equal(encoder(cells).values, encoder(cells).values)
    still = Features(frequency_warp=0.0)
    plain = AudioCnn(AudioCnn.Config(channels=2, dropout=0.0, features=still), modality)
    assert torch.equal(plain(cells).values, plain(cells).values)


def test_audio_cnn_exports_with_any_number_of_rows_and_samples():
    modality = Audio(Audio.Config(sample_rate=8_000))
    encoder = AudioCnn(AudioCnn.Config(channels=2, blocks=2), modality).eval()

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = encoder

        def forward(self, values, lengths):
            tokens = self.encoder(Cells(values, lengths))
            return tokens.values, tokens.mask

    rows, steps = torch.export.Dim("rows"), torch.export.Dim("steps", min=800)
    example = tones(modality, 4_000, 1_000, 2_500)
    shapes = ({0: rows, 1: steps}, {0: rows})
    exported = torch.export.export(Plain(), (example.values, example.lengths), dynamic_shapes=shapes).module()
    other = tones(modality, 3_333, 900)
    values, mask = exported(other.values, other.lengths)
    torch.testing.assert_close(values, encoder(other).values, rtol=1e-4, atol=1e-5)
    assert torch.equal(mask, encoder(other).mask)


def pictures(size: int) -> Cells:
    rng = np.random.default_rng(0)
    return Image(Image.Config(size=size)).collate([rng.integers(0, 256, (size, size, 3), dtype=np.uint8)] * 2)


@pytest.mark.parametrize("size", [8, 32, 50])
def test_image_cnn_takes_pictures_of_any_size(size):
    encoder = ImageCnn(ImageCnn.Config(width=6, channels=4), Image(Image.Config(size=size)))
    assert encoder(pictures(size)).values.shape == (2, 1, 6)


def test_image_cnn_tells_places_apart_unless_its_grid_is_one():
    image = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    image[0, :, 24:26, 24:26] = 255
    image[1, :, 32:34, 32:34] = 255  # moved by 8: a whole number of cells of the last feature map
    cells = Cells(image, torch.ones(2, dtype=torch.int64))
    modality = Image(Image.Config(size=64))
    torch.manual_seed(0)
    placed = ImageCnn(ImageCnn.Config(channels=4, pool=1, grid=4), modality).eval()(cells).values
    pooled = ImageCnn(ImageCnn.Config(channels=4, pool=1, grid=1), modality).eval()(cells).values
    assert not torch.allclose(placed[0], placed[1], atol=1e-2)
    torch.testing.assert_close(pooled[0], pooled[1], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("size", "halved"), [(48, 6), (64, 4)])
def test_image_cnn_pools_large_pictures_only(size, halved):
    encoder = ImageCnn(ImageCnn.Config(channels=4), Image(Image.Config(size=size))).eval()
    maps = {}
    encoder.features[-3].register_forward_hook(lambda _module, _given, result: maps.update(last=result))
    assert encoder(pictures(size)).values.shape == (2, 1, 128)
    assert maps["last"].shape[2:] == (halved, halved)


def test_image_cnn_keeps_space_as_a_token_for_each_cell_of_its_grid():
    """One matrix for all cells, and their mean: the one token of a cnn whose matrix repeats it for each cell."""
    modality = Image(Image.Config(size=48))
    spatial = ImageCnn(ImageCnn.Config(spatial_tokens=True, width=6, channels=4, blocks=2, grid=3), modality).eval()
    vector = ImageCnn(ImageCnn.Config(width=6, channels=4, blocks=2, grid=3), modality).eval()
    vector.features.load_state_dict(spatial.features.state_dict())
    matrix, bias = spatial.project[1].weight, spatial.project[1].bias
    vector.project[1].weight.data = matrix.repeat_interleave(9, dim=1) / 9
    vector.project[1].bias.data = bias
    tokens = spatial(pictures(48))
    assert tokens.values.shape == (2, 9, 6) and tokens.mask.all()
    assert (spatial.token_span, vector.token_span) == (16, None)
    without_places = tokens.values - spatial.places.vectors
    torch.testing.assert_close(vector(pictures(48)).values[:, 0], without_places.mean(dim=1))


def test_resnet_keeps_space_as_a_token_for_each_32_pixels():
    modality = Image(Image.Config(size=64))
    spatial = Resnet(Resnet.Config(spatial_tokens=True, width=6), modality).eval()
    vector = Resnet(Resnet.Config(width=6), modality).eval()
    vector.load_state_dict(spatial.state_dict())
    tokens = spatial(pictures(64))
    assert tokens.values.shape == (2, 4, 6)
    assert spatial.token_span == 32
    assert vector.token_span is None
    torch.testing.assert_close(vector(pictures(64)).values[:, 0], tokens.values.mean(dim=1))


@pytest.mark.parametrize("encoder", [ImageCnn, Resnet, Inception])
def test_image_encoders_have_no_batch_norm(encoder):
    modules = encoder(encoder.Config(), Image(Image.Config(size=75))).modules()
    assert not any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in modules)


def table(*rows: tuple[float | None, str | None]) -> tuple[list[Number | Category], list[Cells]]:
    modalities = []
    for cls, cells in ((Number, [1.0, 2.0, 4.0]), (Category, ["red", "green", "green"])):
        unfitted = cls(cls.Config())
        modalities.append(cls(cls.Config(), unfitted.fit([unfitted.read(cell) for cell in cells])))
    columns = zip(*rows, strict=True)
    cells = [
        modality.collate([None if cell is None else modality.read(cell) for cell in column])
        for modality, column in zip(modalities, columns, strict=True)
    ]
    return modalities, cells


def test_mlp_tells_missing_from_unseen_from_average():
    modalities, cells = table((7 / 3, "red"), (None, "red"), (7 / 3, "blue"), (7 / 3, None))
    torch.manual_seed(0)
    values = Mlp(Mlp.Config(), *modalities).eval()(*cells).values[:, 0]
    distances = torch.cdist(values, values)
    assert (distances + torch.eye(4) > 1e-2).all()


def test_mlp_learns_a_vector_for_missing_cells_of_each_column():
    modalities, cells = table((None, "red"), (1.0, None))
    encoder = Mlp(Mlp.Config(category_dropout=0.0), *modalities)
    encoder(*cells).values.square().sum().backward()
    numbers, categories = encoder.columns
    assert numbers.missing.grad.any()
    assert categories.embedding.weight.grad[categories.missing].any()
    assert categories.embedding.weight.grad[0].eq(0).all()  # no unseen category here


def test_bag_asks_for_letter_groups_of_longer_texts():
    assert Text(Text.Config(**Bag.needs(Bag.Config()))).config.tokenizer == "character_ngrams"
