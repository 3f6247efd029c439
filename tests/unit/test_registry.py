import subprocess
import sys
from pathlib import Path

import pytest

from polymodal import registry
from polymodal.errors import ConfigError


def test_names_are_the_files():
    folder = Path(registry.__file__).parent
    for kind in ("fusions", "modalities", "tasks", "datasets", "encoders/text"):
        files = {file.stem for file in (folder / kind).glob("*.py") if not file.stem.startswith("_")}
        assert set(registry.names(kind)) == files
    assert {"concat", "weighted"} <= set(registry.names("fusions"))
    assert {"audio", "image", "table", "text"} <= set(registry.names("encoders"))
    assert "_cache" not in registry.names("datasets")
    assert registry.names("encoders/nothing") == ()


@pytest.mark.parametrize("kind", ["fusions", "modalities", "tasks", "encoders/text", "encoders/image", "datasets"])
def test_every_name_loads(kind):
    for name in registry.names(kind):
        assert registry.load(kind, name).__name__.lower() == name.replace("_", "")


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("fusions", "concta", "No fusion is called 'concta'. Did you mean 'concat'?"),
        ("encoders/image", "resnt", "No image encoder is called 'resnt'. Did you mean 'resnet'?"),
        ("fusions", "os.system", "No fusion is called 'os.system'. Known: attention, average"),
        ("fusions", "../errors", "No fusion is called '../errors'"),
        ("fusions", "__init__", "No fusion is called '__init__'"),
    ],
)
def test_an_unknown_name_is_an_error_that_says_which_are_known(kind, name, words):
    with pytest.raises(ConfigError) as error:
        registry.load(kind, name)
    assert words in str(error.value)


def test_listing_imports_no_part():
    code = (
        "import sys; from polymodal import registry; registry.names('fusions'); registry.names('encoders/text');"
        "assert 'torch' not in sys.modules and 'polymodal.fusions.concat' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
