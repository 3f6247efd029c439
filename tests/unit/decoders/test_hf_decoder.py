"""The decoder `hf` against transformers itself: its logits, and the sequences and scores of its `generate`."""

from __future__ import annotations

import json
import math
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
import tiny_language_models as tiny
import torch

from polymodal.config.run_config import Part, part_settings
from polymodal.decoders.hf import Hf
from polymodal.decoding.beam import Beam, BeamConfig
from polymodal.decoding.greedy import Greedy, GreedyConfig
from polymodal.errors import ConfigError
from polymodal.layers.search import Bounds
from polymodal.layers.sequence_head import SequenceHead, Teaching
from polymodal.tokenizers import reversible
from polymodal.types import Cells, Tokens

transformers = pytest.importorskip("transformers")

D, ROWS, MOST = 6, 4, 12
DEVIATIONS = {"gpt2": 0.4, "t5": 0.3}  # so that texts end early, and late


@cache
def folder(kind: str) -> Path:
    return tiny.save(Path(mkdtemp(prefix="tiny-")) / kind, kind, deviation=DEVIATIONS.get(kind, 0.15))


@pytest.fixture(scope="module", autouse=True)
def cleared():
    yield
    for kind in tiny.KINDS:
        shutil.rmtree(folder(kind).parent)
    folder.cache_clear()


def settings(kind: str, train: object = "frozen") -> object:
    return part_settings("decoders", Part(name="hf", checkpoint=str(folder(kind)), train=train))


def build(kind: str, train: object = "frozen") -> Hf:
    torch.manual_seed(0)
    given = settings(kind, train)
    decoder = Hf(given, memory_width=D, vocabulary_size=Hf.tokenizer(given)["size"]).double().eval()
    for name, parameter in decoder.named_parameters():
        if name.startswith("memory.") or ".lora_" in name:  # zeros would hide that they are missing
            parameter.data += 0.5 * torch.randn_like(parameter)
    return decoder


def original(kind: str):
    cls = transformers.AutoModelForSeq2SeqLM if kind in tiny.RESERVED else transformers.AutoModelForCausalLM
    return cls.from_pretrained(folder(kind)).double().eval()


def memory() -> Tokens:
    torch.manual_seed(1)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 1]])
    return Tokens(torch.randn(ROWS, 5, D).double(), mask.bool())


def pieces(decoder: Hf, length: int) -> torch.Tensor:
    torch.manual_seed(2)
    return torch.randint(0, decoder.network.config.vocab_size, (ROWS, length))


def encoder_outputs(memory: torch.Tensor):
    return transformers.modeling_outputs.BaseModelOutput(last_hidden_state=memory)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_logits_are_those_of_transformers_for_each_row_by_itself(kind: str) -> None:
    decoder, network, tokens = build(kind), original(kind), memory()
    ids = pieces(decoder, 7)
    with torch.no_grad():
        found, read = decoder(tokens, ids), decoder.memory(tokens)
        for row in range(ROWS):
            real, said = read.values[row : row + 1, read.mask[row]], ids[row : row + 1]
            if decoder.attends:
                expected = network(encoder_outputs=encoder_outputs(real), decoder_input_ids=said).logits
            else:
                prefixed = torch.cat([real, network.get_input_embeddings()(said)], dim=1)
                expected = network(inputs_embeds=prefixed).logits[:, -7:]
            torch.testing.assert_close(found[row], expected[0], atol=1e-5, rtol=1e-5)
    assert float((found[0] - found[1]).abs().max()) > 0.01


@pytest.mark.parametrize("kind", tiny.RESERVED)
def test_attention_is_that_of_transformers_for_each_row_by_itself(kind: str) -> None:
    decoder, network, tokens = build(kind), original(kind), memory()
    ids = pieces(decoder, 5)
    network.set_attn_implementation("eager")
    with torch.no_grad():
        before, read = decoder(tokens, ids), decoder.memory(tokens)
        found = decoder.cross_attention(tokens, ids)
        assert build("gpt2").cross_attention(tokens, ids) is None
        torch.testing.assert_close(decoder(tokens, ids), before, atol=0, rtol=0)
        for row in range(ROWS):
            real = read.mask[row]
            outputs = encoder_outputs(read.values[row : row + 1, real])
            said = network(encoder_outputs=outputs, decoder_input_ids=ids[row : row + 1], output_attentions=True)
            expected = sum(layer[0].mean(dim=0) for layer in said.cross_attentions) / len(said.cross_attentions)
            torch.testing.assert_close(found[row][:, real], expected, atol=1e-5, rtol=1e-5)
            assert not found[row][:, ~real].any()
    torch.testing.assert_close(found.sum(dim=2), torch.ones(ROWS, 5).double())


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_step_by_step_as_all_at_once(kind: str) -> None:
    decoder, tokens = build(kind), memory()
    ids, order = pieces(decoder, 6), torch.tensor([3, 1, 1, 0])
    with torch.no_grad():
        whole, state = decoder(tokens, ids), decoder.start(tokens)
        for place in range(6):
            before = state
            logits, state = decoder.step(before, ids[:, place])
            torch.testing.assert_close(logits, whole[:, place], atol=1e-5, rtol=1e-5)
            moved, _ = decoder.step(before.rows(order), ids[order, place])  # a state is the same after a step
            torch.testing.assert_close(moved, logits[order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_reordered_rows_of_one_memory(kind: str) -> None:
    decoder, one = build(kind), memory().rows(torch.tensor([1, 1, 1, 1]))
    ids, same = pieces(decoder, 3), torch.tensor([1, 0, 2, 2])
    with torch.no_grad():
        state = decoder.start(one)
        for place in range(3):
            _, state = decoder.step(state, ids[:, place])
        logits, _ = decoder.step(state, torch.full((ROWS,), 5))
        moved, _ = decoder.step(state.reordered(same), torch.full((ROWS,), 5))
    torch.testing.assert_close(moved, logits[same])
    assert not torch.allclose(logits[0], logits[1])


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_what_is_masked_and_what_comes_later_have_no_influence(kind: str) -> None:
    decoder, tokens = build(kind), memory()
    ids = pieces(decoder, 6)
    later = ids.clone()
    later[:, 4:] = 3
    junk = Tokens(torch.where(tokens.mask.unsqueeze(2), tokens.values, math.nan), tokens.mask)
    with torch.no_grad():
        logits = decoder(tokens, ids)
        torch.testing.assert_close(decoder(junk, ids), logits)
        torch.testing.assert_close(decoder(tokens, later)[:, :4], logits[:, :4])


@pytest.mark.parametrize("kind", tiny.KINDS)
@pytest.mark.parametrize("train", ["frozen", "full", {"name": "top", "layers": 1}, "lora"])
def test_it_learns_as_told_and_comes_back_from_portable_settings(kind: str, train: object) -> None:
    decoder, tokens = build(kind, train), memory()
    ids = pieces(decoder, 5)
    name = train if isinstance(train, str) else train["name"]
    learning = {name for name, parameter in decoder.named_parameters() if parameter.requires_grad}
    inside = {name for name in learning if name.startswith("network.")}
    assert len(learning) - len(inside) == 5  # of the memory
    assert bool(inside) == (name != "frozen")
    decoder.train()(tokens, ids).logsumexp(dim=2).sum().backward()
    assert {name for name, parameter in decoder.named_parameters() if parameter.grad is not None} == learning
    assert decoder.network.training == (name != "frozen")
    assert not any("encoder" in name.split(".") for name in decoder.state_dict())

    state = decoder.portable_state()
    assert not any("lora" in name for name in state)
    portable = json.loads(json.dumps(decoder.portable))
    assert str(folder(kind)) not in json.dumps(portable)
    rebuilt = part_settings("decoders", Part(name="hf", **portable))
    again = Hf(rebuilt, memory_width=D, vocabulary_size=decoder.network.config.vocab_size).double()
    again.load_state_dict(state)
    with torch.no_grad():
        expected = decoder.eval()(tokens, ids)
        torch.testing.assert_close(again.eval()(tokens, ids), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "number"), [("gpt2", 8), ("t5", 20), ("gpt_neox", 8)])
def test_every_linear_layer_but_the_last_one_gets_an_adapter(kind: str, number: int) -> None:
    adapted = {name.split(".lora_A")[0] for name in build(kind, "lora").state_dict() if ".lora_A" in name}
    assert len(adapted) == number
    assert "network.lm_head" not in adapted


@pytest.mark.parametrize("kind", ["gpt2", "t5", "bart"])
def test_memory_begins_as_large_as_what_the_network_reads(kind: str) -> None:
    torch.manual_seed(0)
    given, network = settings(kind), original(kind)
    decoder = Hf(given, memory_width=200, vocabulary_size=Hf.tokenizer(given)["size"])
    usual = network.get_input_embeddings().weight.detach()
    with torch.no_grad():
        if decoder.attends:
            usual = network.get_encoder()(input_ids=torch.arange(len(usual))[None, :64]).last_hidden_state
        read = decoder.memory(Tokens(torch.randn(40, 3, 200), torch.ones(40, 3, dtype=torch.bool))).values
    assert (read.square().mean() / usual.square().mean()).sqrt().item() == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize(("kind", "wider"), [("gpt2", {"n_embd": 64}), ("bart", {"d_model": 64})])
def test_it_learns_to_write_what_the_memory_holds(kind: str, wider: dict, tmp_path: Path) -> None:
    place = tiny.save(tmp_path / kind, kind, deviation=0.05, **wider)
    given = part_settings("decoders", Part(name="hf", checkpoint=str(place), train="full"))
    tokenizer = reversible.load(Hf.tokenizer(given))
    torch.manual_seed(0)
    decoder = Hf(given, memory_width=16, vocabulary_size=tokenizer.size)
    bounds = Bounds(tokenizer.end, max_length=20, never=tokenizer.never, prefix=tokenizer.encode(""))
    head = SequenceHead(decoder, search=Greedy(GreedyConfig()), bounds=bounds, begin=tokenizer.begin,
                        prior=torch.zeros(1), teaching=Teaching(20)).train()  # fmt: skip
    lines = [torch.tensor(tokenizer.encode(text)) for text in tiny.TEXTS]
    target = Cells(torch.nn.utils.rnn.pad_sequence(lines, batch_first=True), torch.tensor(list(map(len, lines))))
    words = torch.randn(3, 3, 16)  # by place, three words each
    rows = [torch.stack([words[0][a], words[1][b], words[2][c]]) for a in range(3) for b in range(3) for c in range(3)]
    tokens = {"": Tokens(torch.stack(rows), torch.ones(27, 3, dtype=torch.bool))}
    optimizer = torch.optim.Adam(head.parameters(), lr=0.003)
    for _ in range(150):
        optimizer.zero_grad()
        head.loss(head(tokens, target), target).mean().backward()
        optimizer.step()
    with torch.no_grad():
        found = head.eval().predict(tokens)
    written = [
        tokenizer.decode(ids[:length])
        for ids, length in zip(found.ids[:, 0].tolist(), found.lengths[:, 0], strict=True)
    ]
    assert sum(one == text for one, text in zip(written, tiny.TEXTS, strict=True)) >= 25


# --- its search against transformers' own


def ours(decoder: Hf, search: object, bounds: Bounds, begin: int):
    head = SequenceHead(decoder, search=search, bounds=bounds, begin=begin, prior=torch.zeros(1),
                        teaching=Teaching(MOST))  # fmt: skip
    with torch.no_grad():
        found = head.predict({"": memory()})
    lines = [
        ids[:length]
        for row, lengths in zip(found.ids.tolist(), found.lengths.tolist(), strict=True)
        for ids, length in zip(row, lengths, strict=True)
    ]
    return lines, found


def theirs(decoder: Hf, network, tokenizer, **settings):
    with torch.no_grad():
        read = decoder.memory(memory())
        mask = read.mask.long()
        given = {"max_new_tokens": MOST, "suppress_tokens": list(tokenizer.never), "do_sample": False, **settings}
        given |= {"return_dict_in_generate": True, "output_logits": True, "output_scores": True}
        given |= {"pad_token_id": tokenizer.padding, "eos_token_id": tokenizer.end}
        if decoder.attends:
            found = network.generate(encoder_outputs=encoder_outputs(read.values), attention_mask=mask, **given)
            sequences = found.sequences[:, 1:]
        else:
            begins = network.get_input_embeddings()(torch.full((ROWS, 1), tokenizer.begin))
            prefixed = torch.cat([read.values, begins], dim=1)
            mask = torch.cat([mask, mask.new_ones(ROWS, 1)], dim=1)
            found = network.generate(inputs_embeds=prefixed, attention_mask=mask, **given)
            sequences = found.sequences
    lines = [line[: line.index(tokenizer.end)] if tokenizer.end in line else line for line in sequences.tolist()]
    return lines, found


SETTINGS = [{}, {"no_repeat_ngram": 1}, {"no_repeat_ngram": 2}, {"min_length": 6}]
NAMES = {"no_repeat_ngram": "no_repeat_ngram_size", "min_length": "min_new_tokens"}


@pytest.mark.filterwarnings("ignore:Passing `no_repeat_ngram_size` with `inputs_embeds`")  # as it should be
@pytest.mark.parametrize("kind", ["gpt2", "t5"])
@pytest.mark.parametrize("bound", SETTINGS)
@pytest.mark.parametrize("penalty", [None, 0.0, 1.0, 2.0])
def test_searches_find_what_transformers_finds(kind: str, bound: dict, penalty: float | None) -> None:
    decoder, network = build(kind), original(kind)
    tokenizer = reversible.load(Hf.tokenizer(settings(kind)))
    free = Bounds(tokenizer.end, max_length=MOST, never=tokenizer.never)
    (line, *_), _ = ours(decoder, Greedy(GreedyConfig()), free, tokenizer.begin)
    tokenizer.end = line[4]  # random networks hardly ever end a text
    bounds = Bounds(tokenizer.end, max_length=MOST, never=tokenizer.never, **bound)
    given = {NAMES[name]: value for name, value in bound.items()}
    if penalty is None:
        lines, found = ours(decoder, Greedy(GreedyConfig()), bounds, tokenizer.begin)
        expected, generated = theirs(decoder, network, tokenizer, **given)
        logs = torch.stack(generated.logits, dim=1).double().log_softmax(dim=2)
        said = generated.sequences[:, -logs.shape[1] :].unsqueeze(2)
        after = (said == tokenizer.end).cumsum(dim=1) - (said == tokenizer.end).long() > 0
        scores = logs.gather(2, said).masked_fill(after, 0).sum(dim=(1, 2))
        torch.testing.assert_close(found.log_probability[:, 0], scores, atol=1e-5, rtol=1e-5)
    else:
        search = Beam(BeamConfig(width=3, n_best=2, length_penalty=penalty))
        lines, found = ours(decoder, search, bounds, tokenizer.begin)
        beams = {"num_beams": 3, "num_return_sequences": 2, "early_stopping": "never", "length_penalty": penalty}
        expected, generated = theirs(decoder, network, tokenizer, **given, **beams)
        spoken = found.lengths + (found.lengths < MOST)
        scores = (found.log_probability / spoken**penalty).flatten()
        torch.testing.assert_close(scores, generated.sequences_scores.double(), atol=1e-5, rtol=1e-5)
    assert lines == expected
    if penalty is None and not bound:
        assert len({len(line) for line in lines}) > 1


# --- what is wrong with a folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(folder("gpt2"), tmp_path / "checkpoint")


def learned(place: Path | str) -> object:
    return Hf.tokenizer(part_settings("decoders", Part(name="hf", checkpoint=str(place))))


def change(place: Path, **values: object) -> None:
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | values))


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"Decoder 'hf': there is no folder 'no/such/folder'. Point `checkpoint` to"):
        learned("no/such/folder")
    with pytest.raises(ConfigError, match="needs a checkpoint"):
        Hf.tokenizer(Hf.Config())


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_each_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ConfigError, match=name):
        learned(copy)


@pytest.mark.parametrize("model_type", ["bert", "vit", "clip"])
def test_other_models_are_no_language_models(copy: Path, model_type: str) -> None:
    change(copy, model_type=model_type)
    with pytest.raises(ConfigError, match=f"'{model_type}' is not a known decoder: bart, gpt2"):
        learned(copy)


def test_a_vocabulary_that_does_not_fit(copy: Path) -> None:
    change(copy, vocab_size=200)
    with pytest.raises(ConfigError, match=r"vocabulary does not fit.* in .*checkpoint has ids up to 294,.* 200 pieces"):
        learned(copy)
    change(copy, vocab_size=295, eos_token_id=295)
    with pytest.raises(ConfigError, match="295 as the id behind a text"):
        learned(copy)
    with pytest.raises(ConfigError, match="has 295 pieces, and the target was learned with 99"):
        Hf(settings("gpt2"), memory_width=D, vocabulary_size=99)


def test_a_tokenizer_with_a_regular_expression_is_refused(copy: Path) -> None:
    parts = json.loads((copy / "tokenizer.json").read_text())
    parts["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "(a+)+"}, "behavior": "Isolated", "invert": False}
    (copy / "tokenizer.json").write_text(json.dumps(parts))
    with pytest.raises(ConfigError, match="regular expression"):
        learned(copy)


@pytest.mark.parametrize(
    ("kind", "message"), [("gpt2", "the inputs' tokens and the text"), ("bart", "a text would be")]
)
def test_a_text_longer_than_the_network_reads(kind: str, message: str) -> None:
    decoder, tokens = build(kind), memory()
    room = 64 - (0 if decoder.attends else 6)
    with torch.no_grad():
        decoder(tokens, pieces(decoder, room))
        with pytest.raises(ConfigError, match=rf"{message}.*65 tokens long, and the network has 64 positions. Lower"):
            decoder(tokens, pieces(decoder, room + 1))
        if not decoder.attends:  # padding takes no position
            decoder(tokens.rows(torch.tensor([1, 2, 3, 3])), pieces(decoder, 60))


# --- its tokenizer


@pytest.mark.parametrize(
    ("kind", "begin", "end", "lead"), [("gpt2", 1, 0, []), ("t5", 0, 1, []), ("bart", 2, 2, [0]), ("pegasus", 0, 1, [])]
)
def test_texts_stand_between_the_ids_that_the_network_knows(kind: str, begin: int, end: int, lead: list[int]) -> None:
    tokenizer = reversible.load(json.loads(json.dumps(Hf.tokenizer(settings(kind)))))
    assert (tokenizer.begin, tokenizer.end) == (begin, end)
    for text in tiny.TEXTS[0], "red </s> <|end|> star", "":
        ids = tokenizer.encode(text)
        assert ids[: len(lead)] == lead
        assert end not in ids
        assert text == tiny.TEXTS[0] or kind in ("t5",) or tokenizer.decode(ids) == text
    assert tokenizer.decode([*tokenizer.encode(tiny.TEXTS[0]), end]) == tiny.TEXTS[0]
    assert end not in tokenizer.never
    assert set(lead) < {*tokenizer.never, None}


def test_ids_that_only_the_network_has_are_never_written(copy: Path) -> None:
    change(copy, vocab_size=310)
    tokenizer = reversible.load(learned(copy))
    assert tokenizer.size == 310
    assert tokenizer.never == [1, *range(295, 310)]
