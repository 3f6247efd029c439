import pytest

from polymodal import registry
from polymodal.testing import check_task

# Those that have no defaults for them.
SETTINGS = {"match": {"sides": {"picture": ["first"], "words": ["second"]}}}

# Settings beside the defaults that change what is computed.
VARIANTS = [
    ("classify", {"loss": "bce", "hidden": 4}),
    ("classify", {"class_weight": "balanced", "classes": ["yes", "no", "maybe", "never"]}),
    ("match", {"sides": {"words": ["second"], "picture": ["first"]}, "hidden": 6, "width": 3}),
    ("ordinal", {"order": ["1", "2", "3", "4"], "hidden": 4}),
    ("regress", {"loss": "huber", "delta": 0.5}),
    ("tag", {"class_weight": "balanced", "label_smoothing": 0.0, "hidden": 4}),
    ("transcribe", {"lower": False, "min_count": 1}),
    ("transcribe", {"search": "beam", "words": "training", "n_best": 2}),
    (
        "generate",
        {
            "decoder": "lstm",
            "decoding": {"name": "beam", "n_best": 2, "width": 3, "length_penalty": 0.0},
            "tokenizer": "words",
        },
    ),
    ("generate", {"decoder": {"name": "lstm", "coverage": True}, "decoding": "sampling", "tokenizer": "characters"}),
    ("generate", {"scheduled_sampling": 0.5, "max_length": 2, "decoding": "greedy"}),
    ("generate", {"decoding": {"name": "mbr", "samples": 4, "n_best": 2}, "decoder": "lstm"}),
    ("generate", {"decoding": {"name": "mbr", "samples": 4, "neighbours": 3}}),
]
SEVERAL = [{"a": float(row), "b": None if row % 3 else 2.0 * row} for row in range(12)]


@pytest.mark.parametrize("name", registry.names("tasks"))
def test_task_keeps_the_contract(name):
    check_task(name, settings=SETTINGS.get(name))


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_task_keeps_the_contract_with_other_settings(name, settings):
    check_task(name, settings=settings)


def test_several_targets_keep_the_contract():
    check_task("regress", values=SEVERAL)
