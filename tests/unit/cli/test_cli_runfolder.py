import subprocess
import sys

import pytest

from polymodal.cli.runfolder import run_folder
from polymodal.errors import UsageError


def test_a_run_that_writes_nothing_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), run_folder(tmp_path / "a/b", overwrite=False):
        assert (tmp_path / "a/b").is_dir()
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_of_the_users_stays(tmp_path):
    with run_folder(tmp_path, overwrite=False):
        pass
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.exists()


def test_what_a_run_wrote_stays(tmp_path):
    with run_folder(tmp_path / "run", overwrite=False):
        (tmp_path / "run/log.jsonl").write_text("")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["log.jsonl"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_run_in_the_folder_is_refused(tmp_path, overwrite):
    with run_folder(tmp_path, overwrite=False):
        (tmp_path / "log.jsonl").write_text("")
        with pytest.raises(UsageError, match="Another run"), run_folder(tmp_path, overwrite=overwrite):
            pytest.fail("two runs at once")
    with run_folder(tmp_path, overwrite=True):  # once the first is over
        pass


def test_a_killed_run_leaves_no_lock(tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from polymodal.cli.runfolder import run_folder\n"
        "with run_folder(Path(sys.argv[1]), overwrite=False): os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "run")], check=False)
    assert done.returncode == -9
    assert (tmp_path / "run/.lock").exists()
    with run_folder(tmp_path / "run", overwrite=False):
        pass


def test_an_older_run_needs_overwrite(tmp_path):
    (tmp_path / "run.yaml").write_text("")
    with pytest.raises(UsageError, match="--overwrite"), run_folder(tmp_path, overwrite=False):
        pytest.fail("overwritten")
    with run_folder(tmp_path, overwrite=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


def test_other_files_are_never_among_a_run(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=r"thesis\.tex"), run_folder(tmp_path, overwrite=True):
        pytest.fail("overwritten")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_log_of_a_run_that_failed_is_no_older_run(tmp_path):
    with pytest.raises(KeyError), run_folder(tmp_path, overwrite=False):
        (tmp_path / "log.jsonl").write_text("")
        raise KeyError
    with run_folder(tmp_path, overwrite=False):
        pass
