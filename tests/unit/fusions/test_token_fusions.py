"""Fusions of tokens against loops over single rows in float64 that know no mask: they see real tokens only."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from polymodal import registry
from polymodal.abilities import Anchored
from polymodal.config.run_config import Part, part_settings
from polymodal.errors import ConfigError
from polymodal.testing import check_fusion
from polymodal.types import Tokens

WIDTHS = {"photo": 6, "note": 4, "voice": 5}
NAMES = sorted(WIDTHS)
SMALL = {"width": 8, "heads": 2, "hidden": 12}
VARIANTS = [
    ("attention", {"layers": 2, "pool": "token"}),
    ("attention", {"layers": 1, "pool": "mean"}),
    ("attention", {"layers": 2, "pool": "none"}),
    ("cross_attention", {"layers": 2}),
    ("cross_attention", {"layers": 1, "anchor": "voice"}),
    ("cross_attention", {"layers": 1, "anchor": "note", "pool": "none"}),
    ("bottleneck", {"layers": 2, "tokens": 3, "own_layers": 1, "pool": "token"}),
    ("bottleneck", {"layers": 3, "tokens": 1, "own_layers": 1, "pool": "mean"}),
    ("bottleneck", {"layers": 2, "tokens": 2, "own_layers": 2, "pool": "none"}),
]
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in settings.items())}" for name, settings in VARIANTS]


def build(name, settings, widths=WIDTHS) -> nn.Module:
    """In float64, with weights at random: norms begin as ones and zeros, which would hide a mix-up."""
    torch.manual_seed(0)
    config = part_settings("fusions", Part(name=name, **SMALL, **settings))
    fusion = registry.load("fusions", name)(config, widths=widths).double().eval()
    for parameter in fusion.parameters():
        nn.init.normal_(parameter, std=0.4)
    return fusion


def some_tokens() -> dict[str, Tokens]:
    """Five rows: all inputs, without each of them, and with one alone; what is masked is NaN."""
    generator = torch.Generator().manual_seed(1)
    lengths = {"photo": [1, 0, 1, 1, 0], "note": [3, 2, 0, 1, 0], "voice": [5, 1, 4, 0, 2]}
    tokens = {}
    for name, of_rows in lengths.items():
        mask = torch.arange(max(of_rows)) < torch.tensor(of_rows).unsqueeze(1)
        values = torch.randn(*mask.shape, WIDTHS[name], generator=generator, dtype=torch.float64)
        tokens[name] = Tokens(values.masked_fill(~mask.unsqueeze(2), torch.nan), mask)
    return tokens


# ------------------------------------------------------------------------------------- the reference: one row, loops


class Weights:
    """The fusion's weights as arrays, by the name of a module inside of it."""

    def __init__(self, fusion, prefix=""):
        self.arrays = {key: value.numpy() for key, value in fusion.state_dict().items()}
        self.prefix = prefix

    def at(self, name):
        inner = Weights.__new__(Weights)
        inner.arrays, inner.prefix = self.arrays, f"{self.prefix}{name}."
        return inner

    def __getitem__(self, name):
        return self.arrays[self.prefix + name]


def norm(x, weights):
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return centred / deviation * weights["weight"] + weights["bias"]


def linear(x, weights):
    return x @ weights["weight"].T + weights["bias"]


def gelu(x):
    return np.vectorize(lambda v: 0.5 * v * (1 + math.erf(v / math.sqrt(2))))(x)


def attend(queries, memory, weights, heads=2):
    """Softmax of q.k / sqrt(width of a head), query by query and head by head."""
    q, v = linear(queries, weights.at("query")), linear(memory, weights.at("value"))
    k = memory @ weights["key.weight"].T
    size = q.shape[1] // heads
    gathered = np.zeros_like(q)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for place in range(len(q)):
            scores = np.array([q[place, part] @ key[part] / math.sqrt(size) for key in k])
            shares = np.exp(scores) / np.exp(scores).sum()
            gathered[place, part] = sum(share * value[part] for share, value in zip(shares, v, strict=True))
    return linear(gathered, weights.at("out"))


def feed(x, weights):
    return linear(gelu(linear(norm(x, weights.at("0")), weights.at("1"))), weights.at("4"))


def block(x, weights, memory=None):
    normed = norm(x, weights.at("attention_norm"))
    kept = normed if memory is None else norm(memory, weights.at("memory_norm"))
    x = x + attend(normed, kept, weights.at("attention"))
    return x + feed(x, weights.at("feed_forward"))


def projected(row, weights):
    """{name: tokens "T D"} of one row, absent inputs left out, at the common width."""
    inner = weights.at("inputs")
    return {
        name: norm(row[name], inner.at(f"norms.{place}")) @ inner[f"linears.{place}.weight"].T
        + inner["embeddings"][place]
        for place, name in enumerate(NAMES)
        if len(row[name])
    }


def mean_of_means(inputs):
    return np.mean([tokens.mean(axis=0) for tokens in inputs.values()], axis=0)


def attention(row, weights, *, layers, pool):
    inputs = projected(row, weights)
    x = np.concatenate([*([weights["summary"]] if pool == "token" else []), *inputs.values()])
    for layer in range(layers):
        x = block(x, weights.at(f"transformer.blocks.{layer}"))
    x = norm(x, weights.at("transformer.norm"))
    if pool == "token":
        return x[:1]
    ends = np.cumsum([len(tokens) for tokens in inputs.values()])[:-1]
    return x if pool == "none" else mean_of_means(dict(enumerate(np.split(x, ends))))[None]


def cross_attention(row, weights, *, layers, anchor=None, pool="mean"):
    inputs = projected(row, weights)
    targets = [anchor] if anchor else NAMES
    pairs = [(a, b) for a in targets for b in NAMES if a != b]
    sources = sorted({b for _, b in pairs})
    parts = []
    for place, (a, b) in enumerate(pairs):
        nothing = weights["nothing"][sources.index(b)][None]
        memory = np.concatenate([nothing, inputs[b]]) if b in inputs else nothing
        x = inputs.get(a, weights["stand_ins"][targets.index(a)][None])
        for layer in range(layers):
            x = block(x, weights.at(f"transformers.{place}.blocks.{layer}"), memory)
        x = norm(x, weights.at(f"transformers.{place}.norm"))
        parts.append(x if pool == "none" else x.mean(axis=0, keepdims=True))
    return np.concatenate(parts, axis=1)


def bottleneck(row, weights, *, layers, tokens, own_layers=0, pool):
    inputs = projected(row, weights)
    if pool == "token":
        inputs = {name: np.vstack([weights["summaries"][NAMES.index(name)], x]) for name, x in inputs.items()}
    for layer in range(own_layers):
        at = weights.at(f"own.{layer}.blocks")
        inputs = {name: block(x, at.at(f"{NAMES.index(name)}")) for name, x in inputs.items()}
    shared = weights["shared"]
    for layer in range(layers):
        at = weights.at(f"layers.{layer}.blocks")
        states = {n: block(np.concatenate([x, shared]), at.at(f"{NAMES.index(n)}")) for n, x in inputs.items()}
        inputs = {name: x[:-tokens] for name, x in states.items()}
        shared = np.mean([x[-tokens:] for x in states.values()], axis=0)
    inputs = {name: norm(x, weights.at("norm")) for name, x in inputs.items()}
    if pool == "none":
        return np.concatenate(list(inputs.values()))
    return mean_of_means({name: x[:1] if pool == "token" else x for name, x in inputs.items()})[None]


REFERENCE = {"attention": attention, "cross_attention": cross_attention, "bottleneck": bottleneck}


@pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=IDS)
def test_equals_a_loop_over_rows_without_masks(name, settings):
    fusion, tokens = build(name, settings), some_tokens()
    fused = fusion(tokens)
    for row in range(5):
        real = {key: model_input.values[row][model_input.mask[row]].numpy() for key, model_input in tokens.items()}
        expected = REFERENCE[name](real, Weights(fusion), **settings)
        found = fused.values[row][fused.mask[row]].detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


# ------------------------------------------------------------------------------------------------------------ numbers


def count(name, settings):
    """By the formula: D common width, H hidden, M inputs of widths d_i."""
    d, h, m, layers = SMALL["width"], SMALL["hidden"], len(WIDTHS), settings["layers"]
    enter = sum(2 * width + width * d for width in WIDTHS.values()) + m * d
    one_block = (4 * d * d + 3 * d) + 2 * d + (2 * d + 2 * d * h + h + d)
    own_token = d * (settings.get("pool") == "token")
    if name == "attention":
        return enter + own_token + layers * one_block + 2 * d
    if name == "bottleneck":
        shared = d * settings["tokens"]
        return enter + m * own_token + shared + (settings.get("own_layers", 0) + layers) * m * one_block + 2 * d
    targets = 1 if "anchor" in settings else m
    sources = m - 1 if "anchor" in settings else m
    return enter + (targets + sources) * d + targets * (m - 1) * (layers * (one_block + 2 * d) + 2 * d)


@pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=IDS)
def test_number_of_parameters_follows_the_formula(name, settings):
    assert sum(parameter.numel() for parameter in build(name, settings).parameters()) == count(name, settings)


@pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=IDS)
def test_every_setting_keeps_the_contract(name, settings):
    if settings.get("pool") != "token":  # where one vector attends to itself alone, its query has nothing to learn
        settings = {key: value for key, value in settings.items() if key != "own_layers"}
    check_fusion(name, settings={**SMALL, **settings})


@pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=IDS)
@pytest.mark.parametrize("absent", [*NAMES, "all"])
def test_gradients_are_finite_and_reach_everything_whatever_is_absent(name, settings, absent):
    fusion, tokens = build(name, settings), some_tokens()
    nobody = torch.zeros(5, dtype=torch.bool)
    tokens = {k: t.where_present(nobody) if absent in (k, "all") else t for k, t in tokens.items()}
    fused = fusion(tokens)
    assert torch.isfinite(fused.values).all()
    fused.values.square().sum().backward()
    for key, parameter in fusion.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=IDS)
def test_a_row_with_nothing_present_is_masked_and_finite(name, settings):
    fusion, tokens = build(name, settings), some_tokens()
    fused = fusion({k: t.where_present(torch.arange(5) > 0) for k, t in tokens.items()})
    assert fused.present.tolist() == [False, True, True, True, True]
    assert torch.isfinite(fused.values).all()


@pytest.mark.parametrize("name", REFERENCE)
def test_a_single_input_is_enough(name):
    fusion, tokens = build(name, {}, {"voice": 5}), some_tokens()
    fused = fusion({"voice": tokens["voice"]})
    assert fused.values.shape == (5, 1, fusion.width) and fusion.width == 8
    assert torch.equal(fused.present, tokens["voice"].present)


def test_an_absent_input_says_nothing_in_cross_attention_but_a_present_one_does():
    fusion, tokens = build("cross_attention", {"anchor": "voice"}), some_tokens()
    before = fusion(tokens).values
    tokens["note"] = Tokens(tokens["note"].values + 3 * torch.randn(4).double(), tokens["note"].mask)
    changed = (fusion(tokens).values != before).flatten(1).any(dim=1)
    assert changed.tolist() == tokens["note"].present.tolist()


def test_cross_attention_can_turn_away_from_an_input_that_is_one_vector():
    """One token takes a softmax whole; beside the token for nothing, the query decides how much of it counts."""
    fusion = build("cross_attention", {"anchor": "note", "layers": 1}, {"note": 4, "photo": 6})
    tokens = {
        name: model_input.where_present(torch.tensor([1, 0, 0, 1, 0]) > 0)
        for name, model_input in some_tokens().items()
    }
    fusion({name: tokens[name] for name in ("note", "photo")}).values.square().sum().backward()
    query, key = fusion.transformers[0].blocks[0].attention.query, fusion.transformers[0].blocks[0].attention.key
    assert query.weight.grad.any() and key.weight.grad.any()


def test_shared_tokens_are_the_only_way_from_input_to_input():
    """What one layer writes only the next reads: an input is heard of in the other's tokens after two layers."""
    tokens = some_tokens()
    loud = {**tokens, "note": Tokens(tokens["note"].values * torch.tensor([5.0, -1, 2, 1]), tokens["note"].mask)}

    def voice_changes(fusion):
        with torch.no_grad():
            quiet_row, loud_row = fusion(tokens), fusion(loud)
        place = int(tokens["note"].mask[0].sum()) + 1  # after note and photo
        return not torch.allclose(quiet_row.values[0, place:], loud_row.values[0, place:])

    fusion = build("bottleneck", {"layers": 2, "pool": "none"})
    assert voice_changes(fusion)
    fusion.layers = fusion.layers[:1]
    assert not voice_changes(fusion)


@pytest.mark.parametrize("name", REFERENCE)
def test_whole_blocks_are_left_out_at_random_only_while_training(name):
    fusion, tokens = build(name, {"dropout": 0.0, "drop_path": 0.9}), some_tokens()
    with torch.no_grad():
        evaluated = fusion(tokens).values
        assert torch.equal(fusion(tokens).values, evaluated)
        fusion.train()
        assert not torch.equal(fusion(tokens).values, fusion(tokens).values)


@pytest.mark.parametrize("name", REFERENCE)
def test_a_width_that_heads_cannot_share_is_refused(name):
    with pytest.raises(ConfigError, match=rf"Fusion '{name}': width must be a multiple of heads; got 10, 4"):
        registry.load("fusions", name)(part_settings("fusions", Part(name=name, width=10)), widths=WIDTHS)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"anchor": "voise"}, r"no input is called 'voise'. Did you mean 'voice'\? Inputs: note, photo, voice"),
        ({"pool": "none"}, "there is no anchor. Set anchor to one of the inputs: note, photo, voice"),
    ],
)
def test_cross_attention_refuses_an_anchor_that_there_is_not(settings, words):
    with pytest.raises(ConfigError, match=words):
        build("cross_attention", settings)


@pytest.mark.parametrize("name", REFERENCE)
def test_no_input_at_all_is_refused(name):
    with pytest.raises(ConfigError, match="at least one input"):
        build(name, {}, {})


def test_one_layer_with_shared_tokens_is_refused():
    with pytest.raises(ConfigError, match="layers"):
        part_settings("fusions", Part(name="bottleneck", layers=1))


@pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=IDS)
def test_says_whether_time_is_kept(name, settings):
    assert build(name, settings).keeps_time == (settings.get("pool") == "none")


@pytest.mark.parametrize("name", REFERENCE)
def test_names_the_input_whose_tokens_come_out(name):
    alone = build(name, {"pool": "none", **({"anchor": "voice"} if name == "cross_attention" else {})}, {"voice": 5})
    assert isinstance(alone, Anchored)
    assert (alone.keeps_time, alone.anchor) == (True, "voice")
    several = build(name, {"anchor": "voice"} if name == "cross_attention" else {"pool": "none"})
    assert several.anchor == ("voice" if name == "cross_attention" else None)


def test_cross_attention_of_one_input_keeps_its_tokens_which_attend_to_themselves():
    fusion = build("cross_attention", {"anchor": "voice", "pool": "none"}, {"voice": 5})
    voice = some_tokens()["voice"]
    fused = fusion({"voice": voice})
    assert torch.equal(fused.mask, voice.mask)
    assert fusion.width == SMALL["width"]
    weights = Weights(fusion)
    inner = weights.at("inputs")
    x = norm(voice.values[0].numpy(), inner.at("norms.0")) @ inner["linears.0.weight"].T + inner["embeddings"][0]
    states = block(x, weights.at("transformers.0.blocks.0"), np.concatenate([weights["nothing"], x]))
    expected = norm(states, weights.at("transformers.0.norm"))
    np.testing.assert_allclose(fused.values[0].detach().numpy(), expected, rtol=1e-9, atol=1e-9)


class AsTensors(nn.Module):
    """A fusion of two inputs for export, which takes and gives plain tensors."""

    def __init__(self, fusion):
        super().__init__()
        self.fusion = fusion

    def forward(self, note, note_mask, voice, voice_mask):
        fused = self.fusion({"note": Tokens(note, note_mask), "voice": Tokens(voice, voice_mask)})
        return fused.values, fused.mask


@pytest.mark.parametrize(
    ("name", "settings"),
    [("attention", {"pool": "none"}), ("cross_attention", {"anchor": "voice", "pool": "none"}), ("bottleneck", {})],
)
def test_exports_with_any_number_of_rows_and_tokens(name, settings):
    module = AsTensors(build(name, settings, {"note": 4, "voice": 5}))
    both = [some_tokens()[key] for key in ("note", "voice")]
    given = [part for model_input in both for part in (model_input.values, model_input.mask)]
    rows, notes, voices = (torch.export.Dim(axis) for axis in ("rows", "notes", "voices"))
    few = tuple(part[1:4, : part.shape[1] - 1].contiguous() for part in given)
    dims = ({0: rows, 1: notes}, {0: rows, 1: notes}, {0: rows, 1: voices}, {0: rows, 1: voices})
    exported = torch.export.export(module, few, dynamic_shapes=dims).module()
    values, mask = module(*given)
    found, found_mask = exported(*given)
    assert torch.equal(found_mask, mask)
    torch.testing.assert_close(found[mask], values[mask], rtol=1e-9, atol=1e-9)
