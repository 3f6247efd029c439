import subprocess
import sys

import pytest

from polymodal import registry
from polymodal.cli.main import main


def listed(capsys, kind: str) -> dict[str, str]:
    """What stands behind each name."""
    assert main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("name ")
    return {line.split()[0]: line.partition("  ")[2].strip() for line in lines[1:]}


@pytest.mark.parametrize("kind", [kind for kind in registry.KINDS if kind != "encoders"])
def test_gives_the_names_of_the_registry_each_with_a_line(capsys, kind):
    found = listed(capsys, kind)
    assert list(found) == list(registry.names(kind))
    assert all(found.values())


def test_gives_encoders_with_their_modality(capsys):
    found = listed(capsys, "encoders")
    assert {"text/rnn", "image/cnn", "audio/cnn", "table/mlp"} <= set(found)
    assert found["text/rnn"].startswith("Recurrent text encoder")


def test_says_of_every_fusion_what_an_absent_input_does_and_whether_time_is_kept(capsys):
    for name, words in listed(capsys, "fusions").items():
        fusion = registry.load("fusions", name)
        assert words.endswith(fusion.when_absent), name
        kept = "if set" if isinstance(fusion.keeps_time, property) else "yes" if fusion.keeps_time else "no"
        assert f"  {kept}  " in words, name


def test_runs_none_of_the_parts():
    program = (
        "import sys; from polymodal.cli.main import main\n"
        "main(['list', 'fusions'])\n"
        "print('loaded:', 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: False"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('"""Takes the first."""\n\nclass First:\n    when_absent: str = "falls out"\n    keeps_time = True\n',
         ["Takes the first.", "yes", "falls out"]),
        ("def broken(:\n", []),
        (None, []),
    ],
)  # fmt: skip
def test_a_plug_in_is_read_like_any_other_and_named_even_if_it_cannot_be(monkeypatch, capsys, tmp_path, code, expected):
    if code is not None:
        (tmp_path / "fused_first.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))

    class Entry:
        module = "fused_first"

    plugins = registry._plugins
    monkeypatch.setattr(registry, "_plugins", lambda kind: {"first": Entry()} if kind == "fusions" else plugins(kind))
    words = listed(capsys, "fusions")["first"]
    assert [word.strip() for word in words.split("  ") if word] == expected
