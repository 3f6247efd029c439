import torch

from polymodal.layers.audio_features import SpecAugment


def test_hides_no_more_than_its_share_of_bands_and_time_and_each_row_for_itself():
    torch.manual_seed(0)
    layer = SpecAugment(band_masks=1, time_masks=1)
    values = torch.ones(200, 50, 40)
    hidden = layer(values, torch.full((200,), 50)) == 0
    bands, steps = hidden.all(dim=1).sum(dim=1), hidden.all(dim=2).sum(dim=1)
    assert 5 <= int(bands.max()) <= 7  # 15 % of 40, and one for rounding
    assert 4 <= int(steps.max()) <= 6  # 10 % of 50, and one for rounding
    assert len({tuple(row.tolist()) for row in hidden.flatten(1)}) > 190
    stretches = (hidden.all(dim=1).int().diff(dim=1) == 1).sum(dim=1)
    assert int(stretches.max()) <= 1  # one stretch, not scattered bands


def test_time_masks_lie_within_each_rows_length():
    torch.manual_seed(0)
    layer = SpecAugment(band_masks=0, time_masks=2)
    hidden = (layer(torch.ones(100, 50, 4), torch.full((100,), 20)) == 0).all(dim=2)
    assert not hidden[:, 20:].any()
    assert hidden[:, :20].any()


def test_eval_leaves_everything_as_it_is():
    values = torch.randn(2, 5, 4)
    assert torch.equal(SpecAugment(band_masks=2, time_masks=2).eval()(values, torch.tensor([5, 3])), values)


def test_the_same_seed_hides_the_same():
    layer, values, lengths = SpecAugment(band_masks=2, time_masks=2), torch.randn(3, 30, 20), torch.tensor([30, 10, 20])
    torch.manual_seed(3)
    first = layer(values, lengths)
    torch.manual_seed(3)
    assert torch.equal(layer(values, lengths), first)
