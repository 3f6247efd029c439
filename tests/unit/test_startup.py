import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "pyarrow", "sklearn", "scipy", "pandas", "PIL", "tokenizers", "jinja2")
SHOW = "import json, sys; print(json.dumps(sorted(name.partition('.')[0] for name in sys.modules)))"


def modules_after(code: str) -> set[str]:
    result = subprocess.run([sys.executable, "-c", f"{code}\n{SHOW}"], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout.splitlines()[-1]))


HELP = """
import sys
from polymodal.cli.main import main
try:
    code = main(["--help"])
except SystemExit as end:
    code = end.code
assert not code, code
"""


@pytest.mark.parametrize("code", ["import polymodal", "import polymodal.cli.main", HELP])
def test_nothing_heavy_is_loaded(code):
    loaded = modules_after(code)
    assert "polymodal" in loaded
    assert not loaded.intersection(HEAVY)


@pytest.mark.parametrize("name", ["Classifier", "Regressor", "Estimator"])
def test_an_estimator_loads_pytorch_when_it_learns_and_not_before(name):
    loaded = modules_after(f"import polymodal as pm; pm.{name}(epochs=3)")
    assert "sklearn" in loaded
    assert "torch" not in loaded


def test_heavy_modules_would_be_seen():
    assert {"numpy", "torch"} <= modules_after("import polymodal; polymodal.Tokens")
