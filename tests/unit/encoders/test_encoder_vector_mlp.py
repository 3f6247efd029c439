import numpy as np
import torch

from polymodal.encoders.vector.mlp import Mlp, MlpConfig
from polymodal.modalities.vector import Vector, VectorConfig


def vector(rows):
    config = VectorConfig(length=rows.shape[1])
    return Vector(config, Vector(config).fit(iter(rows)))


def test_hides_elements_in_training_alone():
    torch.manual_seed(0)
    modality = vector(np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32))
    cells = modality.collate([np.ones(40, dtype=np.float32)] * 8)
    encoder = Mlp(MlpConfig(input_dropout=0.5, dropout=0.0), modality)
    assert encoder(cells).values.std(dim=0).max() > 0
    encoder.eval()
    assert encoder(cells).values.std(dim=0).max() == 0


def test_learns_from_fewer_rows_than_elements():
    """The class shows in a few of 2,000 elements, as genes do; 60 rows suffice to name it in others."""
    rng, side = np.random.default_rng(0), np.tile([-1.0, 1.0], 80)
    rows = rng.normal(size=(160, 2_000))
    rows[:, :100] += 0.5 * side[:, None]
    modality = vector(rows[:60].astype(np.float32))
    cells = modality.collate([modality.read(row) for row in rows])
    torch.manual_seed(0)
    encoder = Mlp(MlpConfig(), modality)
    network = torch.nn.Sequential(torch.nn.Linear(encoder.width, 2))
    optimizer = torch.optim.AdamW([*encoder.parameters(), *network.parameters()], lr=2e-3, weight_decay=0.05)
    target = torch.from_numpy((side > 0).astype(np.int64))
    train = cells.rows(torch.arange(60))
    for _ in range(40):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(encoder(train).values[:, 0]), target[:60])
        loss.backward()
        optimizer.step()
    encoder.eval()
    found = network(encoder(cells).values[:, 0]).argmax(dim=1)[60:]
    assert (found == target[60:]).float().mean() > 0.85
