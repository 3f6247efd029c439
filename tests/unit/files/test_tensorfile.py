import json
import random
import struct

import pytest
import safetensors.torch
import torch

from polymodal.files import tensorfile


def everything():
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randint(0, 2, (3, 2), generator=generator).to(dtype)
        if dtype == torch.bool
        else (torch.randn(3, 5, generator=generator) * 50).to(dtype)
        for name, dtype in tensorfile.DTYPES.items()
    }
    return tensors | {
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0, 4),
        "special": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
        'name with " and ä': torch.arange(3),
    }


def encode(tensors):
    return b"".join(map(bytes, tensorfile.TensorFile(tensors).blocks()))


def same(left, right):
    return (
        left.keys() == right.keys()
        and all(left[name].dtype == right[name].dtype and left[name].shape == right[name].shape for name in left)
        and all(
            left[name].contiguous().reshape(-1).view(torch.uint8).equal(right[name].reshape(-1).view(torch.uint8))
            for name in left
        )
    )


def file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(begin=0, end=8, shape=(2,), dtype="F32", **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end], **more}


def test_round_trip_is_equal_bit_for_bit():
    assert same(everything(), tensorfile.decode(encode(everything())))


def test_the_reference_library_reads_what_is_written_and_writes_what_is_read():
    assert same(everything(), safetensors.torch.load(encode(everything())))
    assert same(everything(), tensorfile.decode(safetensors.torch.save(everything())))


def test_the_bytes_are_those_of_the_reference_library():
    names = {
        "b": torch.zeros(2),
        "a": torch.ones(3),
        "B": torch.ones(1, dtype=torch.float64),
        "\n\x1f\x7f😀": torch.ones(1),
    }
    for tensors in ({}, everything(), names, {f"t{number}": torch.ones(number) for number in range(12)}):
        assert encode(tensors) == safetensors.torch.save(tensors)
        assert tensorfile.TensorFile(tensors).size == len(encode(tensors))


def test_blocks_are_small_whatever_the_tensors_are(monkeypatch):
    monkeypatch.setattr(tensorfile.streams, "BLOCK", 64)
    tensors = {
        "long": torch.arange(100),
        "matrix": torch.arange(35 * 3).reshape(35, 3).T,
        "wide": torch.arange(3 * 2 * 41, dtype=torch.int16).reshape(3, 2, 41).transpose(0, 2),
        "deep": torch.arange(2 * 2 * 50).reshape(2, 2, 50),
        "expanded": torch.ones(1).expand(7, 90),
        "learned": torch.nn.Parameter(torch.ones(40)),
        **everything(),
    }
    _, *blocks = (bytes(block) for block in tensorfile.TensorFile(tensors).blocks())
    assert max(map(len, blocks)) == 64
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    assert encode(tensors) == safetensors.torch.save(contiguous)


def test_no_tensor_at_all():
    assert tensorfile.decode(encode({})) == {}


def test_shared_expanded_and_transposed_tensors_are_written_whole():
    weight = torch.arange(6.0).reshape(2, 3)
    tensors = {
        "a": weight,
        "tied": weight,
        "row": weight[0],
        "transposed": weight.T,
        "wide": weight[:, :1].expand(2, 9),
    }
    assert same(tensors, tensorfile.decode(encode(tensors)))


def test_large_tensors_that_are_equal_bit_by_bit_are_stored_once():
    large = torch.arange(10_000.0)
    negative, nan = torch.zeros(10_000), torch.full((10_000,), float("nan"))
    negative[7] = -0.0
    tensors = {
        "b": large, "a": large.clone(), "c": large[None], "d": large.double(), "e": nan, "f": nan.clone(),
        "g": torch.zeros(10_000), "h": negative, "small": torch.zeros(3), "too": torch.zeros(3),
    }  # fmt: skip
    written = encode(tensors)
    header = json.loads(written[8 : 8 + int.from_bytes(written[:8], "little")])
    assert header.pop("__metadata__") == {"b": "a", "f": "e"}
    assert header.keys() == tensors.keys() - {"b", "f"}
    assert len(written) < sum(tensor.nbytes for tensor in tensors.values()) - 70_000
    assert same(tensors, tensorfile.decode(written))
    stored = {name: tensor for name, tensor in tensors.items() if name in header}
    assert same(stored, safetensors.torch.load(written))  # which its own `load_model` completes by these metadata


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (torch.zeros(2, dtype=torch.complex64), "complex64"),
        (torch.zeros(2).to_sparse(), "sparse"),
        ({"a": 1}, "is a dict"),
    ],
)
def test_refuses_to_write_what_it_would_not_read(value, reason):
    with pytest.raises(ValueError, match=f"'odd'.*{reason}"):
        encode({"fine": torch.zeros(1), "odd": value})


def test_hand_made_file_is_read():
    data = file({"a": entry(), "b": entry(8, 9, [], "U8")}, struct.pack("<ffB", 1.5, -2, 7))
    assert same(tensorfile.decode(data), {"a": torch.tensor([1.5, -2]), "b": torch.tensor(7, dtype=torch.uint8)})


TWICE = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}'
KEY_TWICE = b'{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (file(TWICE, b"ab"), "'a' appears twice"),
        (file(KEY_TWICE, b"a"), "'shape' appears twice"),
        (file({"a": entry(extra=1)}, bytes(8)), "described wrongly"),
        (file({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)), "described wrongly"),
        (file({"__metadata__": {"format": "pt"}}), "described wrongly"),
        (file({"__metadata__": ["b"], "a": entry()}, bytes(8)), "described wrongly"),
        (file({"__metadata__": {"b": "c"}, "a": entry()}, bytes(8)), "described wrongly"),
        (file({"__metadata__": {"a": "a"}, "a": entry()}, bytes(8)), "described wrongly"),
        (file({"__metadata__": {"b": ["a"]}, "a": entry()}, bytes(8)), "described wrongly"),
        (file({"__metadata__": {"b": "c", "c": "a"}, "a": entry()}, bytes(8)), "described wrongly"),
        (file({"a": entry(dtype="F8_E5M2", end=2)}, bytes(2)), "described wrongly"),
        (file({"a": entry(dtype="object")}, bytes(8)), "described wrongly"),
        (file({"a": entry(dtype=["F32"])}, bytes(8)), "described wrongly"),
        (file({"a": None}), "described wrongly"),
        (file([entry()], bytes(8)), "not a JSON object"),
        (file({"a": entry(shape=[True, 2])}, bytes(8)), "true"),
        (file({"a": entry(shape=[2.0])}, bytes(8)), r"2\.0"),
        (file({"a": {**entry(), "data_offsets": [0, 8, 8]}}, bytes(8)), "described wrongly"),
        (file({"a": entry(shape=[1] * 65, dtype="U8", end=1)}, bytes(1)), "described wrongly"),
        (file(b'{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,1]}}', b"a"), "NaN"),
        (file(b"\xff{}"), "utf-8"),
        (file(b"not json"), "Expecting value"),
    ],
)
def test_a_header_that_is_not_as_it_should_be(data, reason):
    with pytest.raises(ValueError, match=reason):
        tensorfile.decode(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack("<Q", 2**62) + b"{}", "does not fit"),
        (struct.pack("<Q", 3) + b"{}", "does not fit"),
        (b"\x02\x00\x00", "does not fit"),
        (b"", "does not fit"),
        (file({"a": entry(), "b": entry(4, 12)}, bytes(12)), "offset for tensor `b`"),
        (file({"a": entry(), "b": entry()}, bytes(8)), "offset for tensor `[ab]`"),
        (file({"a": entry(), "b": entry(12, 20)}, bytes(20)), "offset for tensor `b`"),
        (file({"a": entry(4, 12)}, bytes(12)), "offset for tensor `a`"),
        (file({"a": entry()}, bytes(9)), "not fully covered"),
        (file({"a": entry()}, bytes(7)), "not fully covered"),
        (file({}, b"x"), "not fully covered"),
        (file({"a": entry(-8, 0)}, bytes(8)), "-8"),
        (file({"a": entry(shape=[-2])}, bytes(8)), "-2"),
        (file({"a": entry(shape=[-1, -2])}, bytes(8)), "-1"),
        (file({"a": entry(8, 0)}, bytes(8)), "offset for tensor `a`"),
        (file({"a": entry(0, 8, [3])}, bytes(8)), "shape"),
        (file({"a": entry(0, 8, [2**62, 2**62])}, bytes(8)), "overflow"),
        (file({"a": entry(0, 8, [2**64])}, bytes(8)), "64 bits"),
        (file({"a": entry(0, 0, [0, 2**62, 2**62])}), "overflow"),
        (file({"a": entry(0, 1, [1], "U8"), "b": entry(1, 9)}, bytes(9)), "not aligned"),
        (file({"a": entry(0, 1, [1], "BOOL")}, b"\x02"), "neither true nor false"),
    ],
)
def test_lengths_and_ranges_that_do_not_fit(data, reason):
    with pytest.raises(ValueError, match=reason):
        tensorfile.decode(data)


def test_a_long_header_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(tensorfile, "MAX_HEADER", 10)
    monkeypatch.setattr(tensorfile.strict_json, "parse", lambda data: pytest.fail("parsed"))
    with pytest.raises(ValueError, match="does not fit"):
        tensorfile.decode(file({"a": entry()}, bytes(8)))


@pytest.mark.parametrize("seed", range(3))
def test_a_header_with_random_damage_is_read_or_refused_and_never_crashes(seed):
    whole = encode(everything())
    end = 8 + int.from_bytes(whole[:8], "little")
    rng = random.Random(seed)
    refused = 0
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(end)] = rng.choice([rng.randrange(256), *b'"{}[],:0129-'])
        try:
            tensors = tensorfile.decode(bytes(data))
        except ValueError:
            refused += 1
        else:
            assert same(tensors, safetensors.torch.load(bytes(data)))
    assert refused > 100
