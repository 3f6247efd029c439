import subprocess
import sys

import pytest

from polymodal import __version__, registry
from polymodal.cli.main import main
from polymodal.errors import PolymodalError, TableError

HEAVY = ("torch", "torchvision", "numpy", "pyarrow", "sklearn", "yaml", "PIL", "soundfile")


def failing(monkeypatch, error):
    def fail(header, rows):
        raise error

    monkeypatch.setattr("polymodal.cli.list.tabulate", fail)
    return main(["list", "fusions"])


def first_words(capsys) -> list[str]:
    """The first column of a table, without its header."""
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]


@pytest.mark.parametrize("command", [(), ("train",), ("datasets",)])
def test_help_loads_nothing_heavy(command):
    program = (
        "import sys; from polymodal.cli.main import main\n"
        f"main([*{command!r}, '--help'])\n"
        f"print('loaded:', *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert "Usage: polymodal" in done.stdout


def test_it_is_a_module_too():
    done = subprocess.run([sys.executable, "-m", "polymodal", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"polymodal {__version__}"
    wrong = subprocess.run([sys.executable, "-m", "polymodal", "trian"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, "train" in wrong.stderr) == (2, True)


def test_without_words_it_gives_help(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    for command in ("train", "predict", "evaluate", "inspect", "datasets", "list", "demo"):
        assert command in out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"polymodal {__version__}\n"


def test_words_come_from_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["polymodal", "list", "tasks"])
    assert main() == 0
    assert first_words(capsys) == list(registry.names("tasks"))


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (TableError("t.csv, line 3: ragged."), 2, "Error: t.csv, line 3: ragged.\n"),
        (PolymodalError("the disk is gone."), 1, "Error: the disk is gone.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_an_error_is_one_paragraph_and_an_exit_code(monkeypatch, capsys, error, code, message):
    assert failing(monkeypatch, error) == code
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), OSError(28, "No space left on device")])
def test_what_nobody_expected_says_how_to_learn_more(monkeypatch, capsys, error):
    assert failing(monkeypatch, error) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--debug" in err and "Traceback" not in err
    assert str(error) in err


def test_a_closed_pipe_is_no_error_to_tell(monkeypatch, capsys):
    import errno

    with pytest.raises(SystemExit) as ended:
        failing(monkeypatch, BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert ended.value.code == 1
    assert capsys.readouterr().err == ""


def test_debug_is_taken_out_wherever_it_stands(monkeypatch, capsys):
    assert main(["list", "--debug", "fusions"]) == 0
    capsys.readouterr()
    assert main(["--debug", "list", "fusion"]) == 2
    assert "Traceback" in capsys.readouterr().err
