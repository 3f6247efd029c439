import json
import random
import string

import pytest

from polymodal.files import strict_json


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_the_standard_library_on_ordinary_json(seed):
    rng = random.Random(seed)

    def value(depth):
        kind = rng.choice(["number", "float", "text", "none", "list", "dict"] if depth < 6 else ["number", "text"])
        match kind:
            case "number":
                return rng.randint(-(2**63), 2**63 - 1)
            case "float":
                return rng.uniform(-1e300, 1e300)
            case "text":
                return "".join(rng.choices(string.printable + 'äß🙂"\\\x00{[', k=rng.randint(0, 12)))
            case "none":
                return rng.choice([None, True, False])
            case "list":
                return [value(depth + 1) for _ in range(rng.randint(0, 4))]
        return {str(n): value(depth + 1) for n in range(rng.randint(0, 4))}

    expected = value(0)
    assert strict_json.parse(json.dumps(expected).encode()) == expected
    assert strict_json.parse(strict_json.dump(expected)) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' appears twice"),
        (b'{"a": 1, "\\u0061": 2}', "'a' appears twice"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"[1e999]", "too large"),
        (b"[9223372036854775808]", "64 bits"),
        (b"[-9223372036854775809]", "64 bits"),
        (b"[" + b"9" * 1_000_000 + b"]", "64 bits"),
        (b"[" * 65 + b"]" * 65, "nested"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested"),
        (b"[" * 100_000 + b"]" * 100_000, "nested"),
        (b'"\xff"', "utf-8"),
        (b"\xef\xbb\xbf[]", "BOM"),
        ("[1]".encode("utf-16"), "utf-8"),
        (b"", "Expecting value"),
        (b"[1] [2]", "Extra data"),
        (b"{'a': 1}", "quotes"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else "",
)
def test_refuses(data, reason):
    with pytest.raises(ValueError, match=reason):
        strict_json.parse(data)


def test_takes_what_is_just_allowed():
    assert strict_json.parse(b"[9223372036854775807, -9223372036854775808]") == [2**63 - 1, -(2**63)]
    strict_json.parse(b"[" * 64 + b"]" * 64)
    strict_json.parse(b'{"a":' * 64 + b"1" + b"}" * 64)


def test_half_of_a_surrogate_pair_comes_back():
    assert strict_json.dump("é") == '"é"\n'.encode()
    assert strict_json.parse(strict_json.dump({"\udcff": ["a\ud800b"]})) == {"\udcff": ["a\ud800b"]}


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], 2**64, {1: "a", "1": "b"}])
def test_writes_nothing_that_it_would_not_read(value):
    with pytest.raises(ValueError):
        strict_json.dump(value)
