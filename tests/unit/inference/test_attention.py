"""What written words attended to: by input and place, of every decoder, and as the report draws it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import polymodal as pm
from polymodal.abilities import Attending
from polymodal.config.run_config import make
from polymodal.data.tables.table import read_table
from polymodal.inference.attention import attended
from polymodal.inference.predictor import Predictor
from polymodal.pipeline.run import Run, train
from polymodal.report.attention import attention_table
from polymodal.report.page import write
from polymodal.tasks.generate import Generate, GenerateConfig
from polymodal.types import Sequences, Tokens

ROWS, SIDE = 24, 16
DECODERS = ["transformer", "lstm"]


def table() -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    return {
        "seen": list(rng.integers(0, 255, (ROWS, SIDE, SIDE, 3), dtype=np.uint8)),
        "asked": [f"what is {'very ' * (row % 3)}small?" for row in range(ROWS)],
        "said": [f"thing number {row % 3} <here>" for row in range(ROWS)],
    }


def trained(decoder: str, fusion: str = "attention") -> Run:
    settings = {
        "target": "said",
        "task": {"name": "generate", "decoder": {"name": decoder, "width": 16}, "decoding": "greedy"},
        "columns": {"asked": {"modality": "text"}},
        "encoders": {"image": {"channels": 4, "width": 8}, "text": {"width": 8}},
        "fusion": {"name": fusion, "width": 8, "heads": 2, "hidden": 8, "pool": "none"},
        "train": {"epochs": 4, "batch_size": 8, "optimizer": {"lr": 0.02}},
    }
    if fusion == "cross_attention":
        settings["fusion"] |= {"anchor": "asked"}
    return train(table(), make(settings), baselines=False)


@pytest.fixture(scope="module", params=DECODERS)
def run(request: pytest.FixtureRequest) -> Run:
    return trained(request.param)


def test_weights_are_those_of_the_decoder_by_input(run: Run) -> None:
    cells = {name: values[:5] for name, values in table().items()}
    cells["asked"][1], cells["seen"][2] = None, None
    predictor = Predictor(run.bundle, "cpu")
    found = attended(predictor, read_table(cells))
    predicted = predictor(cells)
    texts, said = predicted.columns["prediction"].tolist(), predicted.prediction
    assert isinstance(said, Sequences)
    network: Any = run.bundle.model
    weights: list[torch.Tensor] = []
    plain = network.head.decoder.cross_attention
    network.head.decoder.cross_attention = lambda *given: weights.append(plain(*given)) or weights[-1]
    again = attended(predictor, read_table(cells))
    del network.head.decoder.cross_attention
    for row, (one, other, text) in enumerate(zip(found, again, texts, strict=True)):
        assert one is not None and other is not None
        assert one.words == other.words == text.split()
        total = one.nothing + sum(part.sum(axis=1) for part in one.inputs.values())
        np.testing.assert_allclose(total, 1, atol=1e-5)
        ids = said.ids[row, 0, : said.lengths[row, 0]].tolist()
        begins = np.cumsum([run.bundle.task.tokenizer.decode([place]).startswith(" ") for place in ids])
        computed = np.stack([weights[row][0, : len(ids)][begins == word].mean(axis=0) for word in np.unique(begins)])
        num_asked = 0 if row == 1 else one.inputs["asked"].shape[1]
        assert set(one.inputs) == {name for name in ("asked", "seen") if cells[name][row] is not None}
        real = np.concatenate([one.nothing[:, None], *(one.inputs[name] for name in sorted(one.inputs))], axis=1)
        np.testing.assert_allclose(real, computed[:, : real.shape[1]], atol=1e-6)
        assert real.shape[1] == 1 + num_asked + (0 if row == 2 else one.inputs["seen"].shape[1])
    assert found[0].inputs["asked"].shape[1] < found[4].inputs["asked"].shape[1]  # a longer question


def test_pictures_have_their_squares(run: Run) -> None:
    cells = table()
    found = attended(Predictor(run.bundle, "cpu"), read_table(cells))
    for row, one in enumerate(found):
        assert one is not None
        lines, columns = one.squares["seen"]
        assert lines * columns == one.inputs["seen"].shape[1] > 1
        assert set(one.squares) == {"seen"}
        np.testing.assert_array_equal(one.pictures["seen"], cells["seen"][row])


def test_rows_without_the_inputs_whose_tokens_come_out_are_left_out() -> None:
    cells = {name: values[:3] for name, values in table().items()}
    cells["asked"][1] = None
    predictor = Predictor(trained("transformer", "cross_attention").bundle, "cpu")
    first, second, third = attended(predictor, read_table(cells))
    assert second is None
    for one in (first, third):
        assert one is not None and set(one.inputs) == {"asked"}


def test_models_that_write_nothing_attend_to_nothing() -> None:
    cells = {"x": [1.0, 2.0, 3.0] * 8, "t": ["a", "b", "a"] * 8}
    model = pm.Classifier(epochs=1).fit(cells, y="t")
    assert attended(Predictor(model.bundle_, "cpu"), read_table({"x": [1.0]})) == [None]


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_words_have_the_mean_of_their_pieces(kind: str) -> None:
    text = "a cat, 😀👩‍👧 zoë  says"
    config = GenerateConfig(tokenizer=kind)  # type: ignore[arg-type]
    task = Generate(config, Generate(config).fit(["a cat says", "a cat sat"], column="t"))
    assert isinstance(task, Attending)
    ids = torch.from_numpy(task.encode(text))
    said = Sequences(ids[None, None], torch.tensor([[len(ids)]]), torch.zeros(1, 1), torch.tensor([True]))
    head = SimpleNamespace(predict=lambda _: said, attention=lambda *_: torch.eye(len(ids))[None])
    (words, weights) = task.attention(head, {"": Tokens.vector(torch.ones(1, 2))})[0]  # type: ignore[index]
    assert words == text.split()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    for row, word in enumerate(words):
        places = np.flatnonzero(weights[row])
        np.testing.assert_allclose(weights[row, places], 1 / len(places), atol=1e-6)
        written = task.tokenizer.decode(ids[places].tolist())
        assert written.strip() == word


def test_the_report_draws_it(run: Run, tmp_path: Path) -> None:
    write(run, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    drawn = re.findall(r'<figure class="attention">.*?</figure>', page, re.DOTALL)
    cards = page[page.index('<section id="texts">') :].split("</section>")[0].count("<article>")
    assert len(drawn) == cards > 0
    for figure in drawn:
        lines = re.findall(r'<tr><th scope="row">(.*?)</tr>', figure)
        assert 1 <= len(lines) <= 12
        for line in lines:
            cells = [int(cell) for cell in re.findall(r">(\d+)</td>", line)]
            assert len(cells) == 3 and sum(cells) == pytest.approx(100, abs=1.5)
        assert len(re.findall(r'<svg role="img"', figure)) == len(lines)
        assert figure.count("url(data:image/jpeg;base64,") == 1
        assert "<here>" not in figure
    write(run, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "report.html").read_bytes()


def test_many_words_and_inputs_are_cut(run: Run) -> None:
    one = attended(Predictor(run.bundle, "cpu"), read_table({name: values[:1] for name, values in table().items()}))[0]
    assert one is not None
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(13), 20)
    inputs = {f"input {k}": weights[:, 1 + 2 * k : 3 + 2 * k] for k in range(6)}
    drawn = attention_table(replace(one, words=["w"] * 20, nothing=weights[:, 0], inputs=inputs, squares={}))
    assert len(drawn.lines) == 12 and drawn.left_out == 8
    assert len(drawn.heads) == 6 and drawn.heads[-2:] == ["other inputs", "nothing"]
    for _, cells in drawn.lines:
        assert sum(int(cell.text) for cell in cells) == pytest.approx(100, abs=3)
