"""Searches against all sequences one by one, and against transformers' own on tiny networks with random weights."""

from __future__ import annotations

import math

import pytest
import torch
from random_models import BEGIN, END, Random, Said, every_sequence, texts

from polymodal.decoding.beam import Beam, BeamConfig
from polymodal.decoding.greedy import Greedy, GreedyConfig
from polymodal.decoding.sampling import Sampling, SamplingConfig
from polymodal.errors import ConfigError
from polymodal.layers.search import Bounds

transformers = pytest.importorskip("transformers")

BOUNDS = [
    Bounds(END, max_length=4, never=(BEGIN,)),
    Bounds(END, max_length=4, never=(BEGIN,), min_length=2),
    Bounds(END, max_length=4, never=(BEGIN,), no_repeat_ngram=2),
    Bounds(END, max_length=4, never=(BEGIN,), no_repeat_ngram=1),
    Bounds(END, max_length=4, never=(BEGIN,), prefix=(2,)),
    Bounds(END, max_length=1, never=(BEGIN,)),
]


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0, -0.5])
def test_a_beam_as_wide_as_all_beginnings_finds_the_best_sequences_of_all(bounds: Bounds, penalty: float) -> None:
    model = Random(4)
    search = Beam(BeamConfig(width=120, n_best=3, length_penalty=penalty))
    found = search(model, model.start(5), bounds, begins=torch.full((5,), BEGIN))
    for row in range(5):
        best = every_sequence(model, row, bounds, penalty)[:3]
        best += [best[-1]] * (3 - len(best))
        assert texts(found)[row] == [ids for _, _, ids in best]
        assert found.log_probability[row].tolist() == pytest.approx([total for _, total, _ in best])


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_beam_of_one_is_greedy(bounds: Bounds) -> None:
    model = Random(5, seed=1)
    beam = Beam(BeamConfig(width=1, length_penalty=1.0))(
        model, model.start(20), bounds, begins=torch.full((20,), BEGIN)
    )
    greedy = Greedy(GreedyConfig())(model, model.start(20), bounds, begins=torch.full((20,), BEGIN))
    assert texts(beam) == texts(greedy)
    assert torch.equal(beam.log_probability, greedy.log_probability)
    for row in range(20):
        said, total = [BEGIN], 0.0
        while len(said) <= bounds.max_length:
            scores = model.log_probabilities(row, said)
            line = said[1:]
            banned = {BEGIN} | ({END} if len(line) < bounds.min_length else set())
            size = bounds.no_repeat_ngram
            seen = {tuple(line[at : at + size]) for at in range(len(line) - size + 1)} if size else set()
            banned |= {
                token
                for token in range(5)
                if size and (*line[len(line) - size + 1 :], token) in seen and len(line) >= size
            }
            if len(line) < len(bounds.prefix):
                banned = set(range(5)) - {bounds.prefix[len(line)]}
            token = max((t for t in range(5) if t not in banned), key=lambda t, s=scores: float(s[t]))
            total += float(scores[token])
            said.append(token)
            if token == END:
                said.pop()
                break
        assert texts(greedy)[row] == [said[1:]]
        assert float(greedy.log_probability[row, 0]) == pytest.approx(total)


@pytest.mark.parametrize(
    "search",
    [
        Greedy(GreedyConfig()),
        Beam(BeamConfig(width=3, n_best=2, length_penalty=0.7)),
        Sampling(SamplingConfig(n_best=3, temperature=0.8, top_k=4, top_p=0.9, seed=3)),
    ],
)
def test_rows_together_give_what_each_gives_alone(search) -> None:
    model, bounds = Random(6, seed=2), Bounds(END, max_length=6, never=(BEGIN,))
    together = search(model, model.start(8), bounds, begins=torch.full((8,), BEGIN))
    for row in range(8):
        alone = search(model, model.start(8).rows(torch.tensor([row])), bounds, begins=torch.tensor([BEGIN]))
        assert texts(alone)[0] == texts(together)[row]
        assert alone.log_probability[0].tolist() == pytest.approx(together.log_probability[row].tolist())


def test_more_sequences_than_are_followed_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"n_best = 5 .*width = 4"):
        Beam(BeamConfig(width=4, n_best=5))


def test_samples_come_as_often_as_they_are_probable() -> None:
    model, bounds, number = Random(4, seed=5), Bounds(END, max_length=1), 20_000
    found = Sampling(SamplingConfig(n_best=number))(model, model.start(1), bounds, begins=torch.tensor([BEGIN]))
    counts = torch.bincount(torch.where(found.lengths[0] == 0, END, found.ids[0, :, 0]), minlength=4) / number
    expected = model.log_probabilities(0, [BEGIN]).exp()
    assert counts.tolist() == pytest.approx(expected.tolist(), abs=4 * 0.5 / math.sqrt(number))


@pytest.mark.parametrize(("settings", "kept"), [({"top_k": 2}, 2), ({"top_p": 0.6}, None), ({"temperature": 0.05}, 1)])
def test_only_probable_tokens_are_drawn(settings: dict, kept: int | None) -> None:
    model, bounds = Random(6, seed=7), Bounds(END, max_length=1)
    found = Sampling(SamplingConfig(n_best=2_000, **settings))(
        model, model.start(1), bounds, begins=torch.tensor([BEGIN])
    )
    drawn = set(torch.where(found.lengths[0] == 0, END, found.ids[0, :, 0]).tolist())
    order = model.log_probabilities(0, [BEGIN]).exp().sort(descending=True)
    if kept is None:  # the fewest that reach the sum
        kept = int((order.values.cumsum(0) < settings["top_p"]).sum()) + 1
    assert drawn == set(order.indices[:kept].tolist())


def test_draws_depend_on_the_seed_and_on_the_row() -> None:
    model, bounds = Random(30, seed=9), Bounds(END, max_length=8, never=(BEGIN, END))

    def drawn(seed: int) -> list:
        search = Sampling(SamplingConfig(seed=seed))
        return texts(search(model, model.start(6), bounds, begins=torch.full((6,), BEGIN)))

    assert len({str(line) for line in drawn(1)}) == 6
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


# --- transformers' own search on the same networks


class Cached:
    """One of transformers' networks, asked with all that was said."""

    def __init__(self, network, encoder_states=None, prompt=None) -> None:
        self.network, self.encoder_states, self.prompt = network, encoder_states, prompt

    def start(self, num_rows: int) -> Said:
        prompt = self.prompt if self.prompt is not None else torch.zeros(num_rows, 0, dtype=torch.long)
        return Said(torch.arange(num_rows), prompt)

    @torch.no_grad()
    def __call__(self, state: Said, ids: torch.Tensor):
        said = torch.cat([state.ids, ids.unsqueeze(1)], dim=1)
        if self.encoder_states is None:
            logits = self.network(input_ids=said).logits
        else:
            states = transformers.modeling_outputs.BaseModelOutput(self.encoder_states[state.row])
            logits = self.network(encoder_outputs=states, decoder_input_ids=said).logits
        return logits[:, -1].log_softmax(dim=1), Said(state.row, said)


def gpt2():
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=17, n_embd=16, n_layer=2, n_head=2, n_positions=64, bos_token_id=0,
                                     eos_token_id=1, pad_token_id=1, initializer_range=0.6)  # fmt: skip
    network = transformers.GPT2LMHeadModel(config).eval()
    prompt = torch.randint(2, 17, (6, 3))
    return network, Cached(network, prompt=prompt[:, :-1]), {"input_ids": prompt}, prompt[:, -1]


def t5():
    torch.manual_seed(0)
    config = transformers.T5Config(vocab_size=17, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2,
                                   decoder_start_token_id=0, eos_token_id=1, pad_token_id=0,
                                   initializer_factor=3.0)  # fmt: skip
    network = transformers.T5ForConditionalGeneration(config).eval()
    inputs = torch.randint(2, 17, (6, 5))
    with torch.no_grad():
        states = network.encoder(input_ids=inputs).last_hidden_state
    return network, Cached(network, encoder_states=states), {"input_ids": inputs}, None


ALIKE = [
    (gpt2, {}),
    (gpt2, {"min_new_tokens": 5}),
    (t5, {}),
    (t5, {"min_new_tokens": 5}),
    # Theirs counts the prompt and the begin, too: there is no prompt here, and the begin never comes again.
    (t5, {"no_repeat_ngram_size": 2, "suppress_tokens": [0]}),
    (t5, {"no_repeat_ngram_size": 3, "suppress_tokens": [0]}),
]


def theirs(network, inputs: dict, skip: int, **settings) -> tuple[list[list[int]], list[float] | None]:
    with torch.no_grad():
        found = network.generate(**inputs, return_dict_in_generate=True, output_scores=True, **settings)
    lines = []
    for line in found.sequences[:, skip:].tolist():
        lines.append(line[: line.index(1)] if 1 in line else line)
    scores = getattr(found, "sequences_scores", None)
    return lines, None if scores is None else scores.tolist()


@pytest.mark.parametrize(("make", "settings"), ALIKE)
def test_greedy_search_finds_what_transformers_finds(make, settings: dict) -> None:
    network, step, inputs, begins = make()
    skip = inputs["input_ids"].shape[1] if begins is not None else 1
    bounds = _bounds(settings)
    lines, _ = theirs(network, inputs, skip, max_new_tokens=12, do_sample=False, num_beams=1, **settings)
    found = Greedy(GreedyConfig())(
        _beginning(step, begins), step.start(6), bounds, begins=torch.zeros(6, dtype=torch.long)
    )
    assert [row[0] for row in texts(found)] == lines


@pytest.mark.parametrize(("make", "settings"), ALIKE)
@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
def test_beam_search_finds_what_transformers_finds(make, penalty: float, settings: dict) -> None:
    network, step, inputs, begins = make()
    skip = inputs["input_ids"].shape[1] if begins is not None else 1
    beams = {"num_beams": 4, "num_return_sequences": 3, "early_stopping": "never", "length_penalty": penalty}
    lines, scores = theirs(network, inputs, skip, max_new_tokens=12, do_sample=False, **beams, **settings)
    search = Beam(BeamConfig(width=4, n_best=3, length_penalty=penalty))
    found = search(_beginning(step, begins), step.start(6), _bounds(settings), begins=torch.zeros(6, dtype=torch.long))
    assert [line for row in texts(found) for line in row] == lines
    spoken = found.lengths + (found.lengths < 12)
    assert (found.log_probability / spoken**penalty).flatten().tolist() == pytest.approx(scores, abs=1e-4)


def _bounds(settings: dict) -> Bounds:
    return Bounds(
        1,
        max_length=12,
        never=settings.get("suppress_tokens", ()),
        min_length=settings.get("min_new_tokens", 0),
        no_repeat_ngram=settings.get("no_repeat_ngram_size", 0),
    )


def _beginning(step: Cached, begins: torch.Tensor | None):
    """The step, whose first token is the last of the prompt where there is one."""
    if begins is None:
        return step

    def first(state: Said, ids: torch.Tensor):
        is_first = state.ids.shape[1] == 2
        return step(state, begins[state.row] if is_first else ids)

    return first
