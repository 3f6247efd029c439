"""Composite encoders: what they compute beyond the contract, how they are built, completed and bundled."""

import numpy as np
import pytest
import torch

from polymodal.bundles import bundle as bundles
from polymodal.bundles.bundle import Bundle
from polymodal.config.run_config import ColumnConfig, Part, RunConfig, completed, make, part_settings
from polymodal.encoders.image.cnn import Cnn
from polymodal.encoders.image.resnet import Resnet
from polymodal.encoders.images.per_image import PerImage
from polymodal.encoders.video.conv3d import Conv3d
from polymodal.encoders.video.frames import Frames
from polymodal.errors import BundleError, ConfigError
from polymodal.metrics.results import Results
from polymodal.modalities.images import Images
from polymodal.modalities.video import Video
from polymodal.models.build import build, build_encoder
from polymodal.pipeline.defaults import complete_inputs
from polymodal.schema import Column, Input, Schema, Target
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.testing import check_encoder
from polymodal.types import Cells

VIDEO = Video(Video.Config(size=16, clip_seconds=2.0), {"median_frames": 4.0})
SMALL = {"name": "cnn", "channels": 4, "blocks": 2, "width": 6}


def make_encoder(cls, modality, **settings):
    kind = "encoders/video" if isinstance(modality, Video) else "encoders/images"
    torch.manual_seed(0)
    return build_encoder(
        cls,
        part_settings(kind, Part(name="per_image" if cls is PerImage else cls.__name__.lower(), **settings)),
        [modality],
    ).eval()


def clips(*lengths):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (length, 3, 16, 16), dtype=np.uint8) for length in lengths]
    return VIDEO.collate(arrays)


@pytest.mark.parametrize(
    "settings",
    [
        {"pool": "rnn", "width": 6, "image": {"width": 10}},
        {"pool": "attention", "keeps_time": True, "image": {"name": "resnet", "spatial_tokens": True}},
        {"motion": False},
    ],
)
def test_frames_keep_the_contract_with_other_settings(settings):
    check_encoder("frames", "video", settings=settings)


def test_other_settings_keep_the_contract_too():
    check_encoder("conv3d", "video", settings={"keeps_time": True, "channels": 6, "blocks": 1})
    check_encoder("per_image", "images", settings={"pool": "attention", "image": "resnet"})


def test_frames_without_motion_are_mean_and_largest_of_what_the_image_encoder_gives():
    encoder = make_encoder(Frames, VIDEO, image=SMALL, motion=False)
    cells = clips(3, 1)
    tokens = encoder(cells)
    image = encoder.frames.image
    for row, length in enumerate((3, 1)):
        each = image(Cells(cells.values[row, :length], torch.ones(length, dtype=torch.int64))).values[:, 0]
        expected = torch.cat([each.mean(dim=0), each.max(dim=0).values])
        torch.testing.assert_close(tokens.values[row, 0], expected)


@pytest.mark.parametrize(("settings", "sees"), [({"motion": True}, True), ({"motion": False}, False)])
def test_only_motion_sees_the_order_of_frames_where_they_are_averaged(settings, sees):
    encoder = make_encoder(Frames, VIDEO, image=SMALL, **settings)
    cells = clips(5)
    backwards = Cells(cells.values.flip(1), cells.lengths)
    assert torch.allclose(encoder(cells).values, encoder(backwards).values, atol=1e-5) is not sees


@pytest.mark.parametrize("pool", ["rnn", "attention"])
def test_pooling_over_time_sees_the_order_of_frames(pool):
    encoder = make_encoder(Frames, VIDEO, image=SMALL, motion=False, pool=pool, width=8)
    cells = clips(5)
    assert not torch.allclose(
        encoder(cells).values, encoder(Cells(cells.values.flip(1), cells.lengths)).values, atol=1e-4
    )


@pytest.mark.parametrize("cls", [Frames, Conv3d])
def test_a_token_for_each_frame_says_how_long_it_lasts(cls):
    encoder = make_encoder(cls, VIDEO, keeps_time=True, width=8)
    assert encoder.token_span == 0.5
    assert encoder(clips(3, 1)).mask.tolist() == [[True] * 3, [True, False, False]]
    assert encoder.keeps_time
    pooled = make_encoder(cls, VIDEO, width=8)
    assert (pooled.token_span, pooled.keeps_time) == (None, False)
    assert cls.spanning(pooled.config, 0.1) == encoder.config


def test_conv3d_sees_the_frames_beside_each():
    encoder = make_encoder(Conv3d, VIDEO, keeps_time=True, blocks=1)
    cells = clips(5)
    other = cells.values.clone()
    other[0, 4] = 0
    changed = (encoder(cells).values - encoder(Cells(other, cells.lengths)).values).abs().amax(dim=2)[0] > 1e-6
    assert changed.tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("pool", ["mean", "attention"])
def test_the_order_of_pictures_does_not_matter(pool):
    modality = Images(Images.Config(size=16))
    encoder = make_encoder(PerImage, modality, image=SMALL, pool=pool)
    cells = clips(4)
    shuffled = Cells(cells.values[:, [2, 0, 3, 1]], cells.lengths)
    torch.testing.assert_close(encoder(cells).values, encoder(shuffled).values)


def test_attention_weighs_pictures_as_published():
    encoder = make_encoder(PerImage, Images(Images.Config(size=16)), image=SMALL, pool="attention")
    cells = clips(3)
    pictures = encoder.pictures(cells)[0][0].detach().double().numpy()
    first, second = encoder.scores[0], encoder.scores[2]
    hidden = np.tanh(pictures @ first.weight.detach().double().numpy().T + first.bias.detach().double().numpy())
    scores = np.exp(hidden @ second.weight.detach().double().numpy().T)
    expected = (scores / scores.sum() * pictures).sum(axis=0)
    np.testing.assert_allclose(encoder(cells).values[0, 0].detach(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cls", [Frames, Conv3d])
def test_exports_with_any_number_of_clips_and_frames(cls):
    encoder = make_encoder(cls, VIDEO, width=8, keeps_time=True)

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = encoder

        def forward(self, values, lengths):
            tokens = self.encoder(Cells(values, lengths))
            return tokens.values, tokens.mask

    rows, steps = torch.export.Dim("rows"), torch.export.Dim("steps")
    example = clips(4, 2, 3)
    exported = torch.export.export(
        Plain(), (example.values, example.lengths), dynamic_shapes=({0: rows, 1: steps}, {0: rows})
    ).module()
    other = clips(5, 1)
    values, mask = exported(other.values, other.lengths)
    torch.testing.assert_close(values, encoder(other).values, rtol=1e-4, atol=1e-5)
    assert torch.equal(mask, encoder(other).mask)


# --- how they are built ----------------------------------------------------------------------------------------------


def test_the_inner_encoder_is_completed_and_checked():
    part = completed("encoders/video", Part(name="frames", image={"width": 7}))
    assert part.settings["image"] == completed("encoders/image", Part(name="cnn", channels=16, width=7)).model_dump()
    assert completed("encoders/video", Part(name="frames", image="cnn")).settings["image"]["channels"] == 16
    assert completed("encoders/images", Part(name="per_image", image="resnet")).settings["image"]["depth"] == 18
    with pytest.raises(ConfigError, match=r"image encoder 'cnn': unknown key 'widht'.*'width'"):
        part_settings("encoders/video", Part(name="frames", image={"widht": 7}))
    with pytest.raises(ConfigError, match="No image encoder is called 'cn'"):
        part_settings("encoders/video", Part(name="frames", image="cn"))


@pytest.mark.parametrize(("pool", "width", "parts"), [("rnn", 7, 2), ("attention", 6, 4)])
def test_a_width_that_does_not_divide_is_refused(pool, width, parts):
    with pytest.raises(ConfigError, match=f"width must be a multiple of {parts}"):
        make_encoder(Frames, VIDEO, pool=pool, width=width)


def test_what_the_inner_encoder_needs_reaches_the_video(tmp_path):
    (tmp_path / "weights.pth").touch()
    image = {"name": "timm", "checkpoint": str(tmp_path / "weights.pth"), "size": 80}
    config = RunConfig(columns={"clip": ColumnConfig(encoder=Part(name="frames", image=image))})
    column = Column(name="clip", kind="video", modality="video", reason="")
    (completed_column,), (entry,) = complete_inputs(
        [column], config, Classify(ClassifyConfig()), num_rows=10, suggested={"clip": {"size": 48}}
    )
    assert completed_column.settings["size"] == 80
    assert entry.settings["image"]["checkpoint"] == image["checkpoint"]


def test_the_defaults_read_videos_and_lists_of_pictures():
    columns = [Column(name=name, kind=name, modality=name, reason="") for name in ("video", "images")]
    _, inputs = complete_inputs(columns, RunConfig(), Classify(ClassifyConfig()), num_rows=100, suggested={})
    assert {entry.name: (entry.encoder, entry.settings["image"]["name"]) for entry in inputs} == {
        "images": ("per_image", "cnn"), "video": ("frames", "cnn"),
    }  # fmt: skip


def schema(**image):
    column = Column(name="clip", kind="video", modality="video", reason="", settings={"size": 16})
    entry = Input(
        name="clip", columns=("clip",), modality="video", encoder="frames", settings={"image": image, "width": 8}
    )
    target = Target(column="y", task="classify", statistics=Classify(ClassifyConfig()).fit(["a", "b"], column="y"))
    return Schema(columns=(column,), inputs=(entry,), target=target)


def test_a_bundle_holds_the_inner_encoder():
    described, config = schema(**SMALL), make({"fusion": {"name": "sum", "width": 8}, "target": "y"})
    model = build(described, config).eval()
    assert isinstance(model.encoders["clip"].frames.image, Cnn)
    loaded = bundles.from_bytes(bundles.to_bytes(Bundle(model, described, config, Results(), "")))
    cells = clips(3, 2)
    torch.testing.assert_close(loaded.model.encoders["clip"](cells).values, model.encoders["clip"](cells).values)
    assert loaded.schema.inputs[0].settings["image"] == completed("encoders/image", Part(**SMALL)).model_dump()


def test_a_bundle_whose_inner_encoder_names_a_checkpoint_is_refused():
    config = make({"fusion": {"name": "sum", "width": 8}, "target": "y"})
    model = build(schema(**SMALL), config)
    model.encoders["clip"].frames.image.__class__ = type(
        "Cnn", (Cnn,), {"portable": property(lambda self: {"checkpoint": "/etc/passwd"})}
    )
    with pytest.raises(BundleError, match="depends on a checkpoint outside the bundle"):
        bundles.to_bytes(Bundle(model, schema(**SMALL), config, Results(), ""))


def test_several_tokens_of_a_picture_count_as_their_mean():
    encoder = make_encoder(
        PerImage, Images(Images.Config(size=64)), image={"name": "resnet", "spatial_tokens": True, "width": 6}
    )
    assert isinstance(encoder.pictures.image, Resnet)
    pictures = torch.randint(0, 256, (1, 2, 3, 64, 64), dtype=torch.uint8)
    places = encoder.pictures.image(Cells(pictures[0], torch.ones(2, dtype=torch.int64))).values
    assert places.shape == (2, 4, 6)
    result = encoder(Cells(pictures, torch.tensor([2]))).values[0, 0]
    torch.testing.assert_close(result, places.mean(dim=(0, 1)))
