"""Wrong use and wrong tables: exit code 2, one paragraph that names the place, nothing written."""

import os
import shlex
import subprocess
import sys

import pytest
from cli_tables import SMALL, make_rows, write_csv


def refused(done, *parts, code=2):
    """Checks that a command was refused, in one paragraph with these parts."""
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err
    assert done.err.count("\n") == 1
    for part in parts:
        assert part in done.err, (part, done.err)


@pytest.fixture
def train(cli, table, tmp_path):
    """Runs `train` on the table (or another) into a folder that must not come into being."""

    def run(*words, source=table, target="label", settings=SMALL):
        targets = () if target is None else ("--target", target)
        done = cli("train", source, *targets, *words, "-o", tmp_path / "out/run", settings=list(settings))
        assert not (tmp_path / "out").exists()
        return done

    return run


def test_no_target(train):
    refused(train(target=None), "target", "label")


def test_a_target_that_is_not_there(train):
    refused(train(target="lable"), "no column 'lable'", "Did you mean 'label'?")


def test_the_target_among_the_features(train):
    refused(train(settings=["columns.label.modality=category"]), "label", "features")
    refused(train("--drop", "label"), "'label'", "target", "drop")


def test_a_typo_in_a_column(train):
    refused(train("--drop", "nnote"), "drop", "Did you mean 'note'?")
    refused(train("--split", "sid"), "split.column", "Did you mean 'side'?")


def test_a_typo_in_a_key(train, tmp_path):
    refused(train(settings=["train.epoch=3"]), "train.epoch", "Did you mean 'epochs'?")
    (tmp_path / "run.yaml").write_text("target: label\ntrian: {epochs: 1}\n")
    refused(train("-c", tmp_path / "run.yaml"), "run.yaml", "'trian'", "Did you mean 'train'?")
    refused(train(settings=["encoders.image={name: cnn, chanels: 4}"]), "chanels", "Did you mean 'channels'?")


def test_a_typo_in_the_name_of_a_part(train):
    refused(train(settings=["fusion=concta"]), "fusion", "Did you mean 'concat'?")
    refused(train(settings=["encoders.text=rn"]), "text encoder", "Did you mean 'rnn'?")
    refused(train(settings=["task=clasify"]), "task", "Did you mean 'classify'?")


def test_a_value_of_the_wrong_type(train):
    refused(train(settings=["train.epochs=many"]), "train.epochs", "many")
    refused(train(settings=["train.epochs"]), "PATH=VALUE")


def test_a_configuration_that_is_none(train, tmp_path):
    refused(train("-c", tmp_path / "absent.yaml"), "absent.yaml", "No such file")
    (tmp_path / "run.yaml").write_text("a: [1\n")
    assert "not YAML" in train("-c", tmp_path / "run.yaml").err


def test_a_target_of_one_class(train, tmp_path):
    rows = [{**row, "label": "cat"} for row in make_rows(tmp_path / "data", 12)]
    refused(train(source=write_csv(tmp_path / "data/t.csv", rows)), "'label'", "one class only")


def test_a_target_without_a_value(train, tmp_path):
    rows = [{**row, "label": None} for row in make_rows(tmp_path / "data", 12)]
    refused(train(source=write_csv(tmp_path / "data/t.csv", rows)), "'label'", "no values")


def test_too_few_rows(train, tmp_path):
    rows = make_rows(tmp_path / "data", 1)
    refused(train(source=write_csv(tmp_path / "data/one.csv", rows)), "one.csv", "1 sample")
    (tmp_path / "none.csv").write_text("a,label\n")
    refused(train(source=tmp_path / "none.csv"), "none.csv", "no rows")
    (tmp_path / "empty.csv").write_text("")
    refused(train(source=tmp_path / "empty.csv"), "empty.csv", "empty")


def test_no_row_that_can_be_read(train, tmp_path):
    rows = make_rows(tmp_path / "data", 12)
    for row in rows:
        row["photo"] = f"absent_{row['photo']}"
    source = write_csv(tmp_path / "data/t.csv", rows)
    settings = [*SMALL, "bad_cells=drop", "columns.photo.modality=image"]
    refused(train(source=source, settings=settings), "t.csv", "row 0", "'photo'", "no such file")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"a,b\n1,2\n3,4,5\n", ("line 3", "3 cells", "2 columns")),
        (b"a,a\n1,2\n", ("two columns", "'a'")),
        (b"a,label\n\xff,1\n", ("line 2", "UTF-8")),
        (b'a,label\n1,"x\n2,y\n', ("line 2", "quote")),
    ],
)
def test_a_broken_csv_is_an_error_with_its_line(cli, train, tmp_path, content, parts):
    (tmp_path / "broken.csv").write_bytes(content)
    refused(train(source=tmp_path / "broken.csv"), "broken.csv", *parts)
    refused(cli("inspect", tmp_path / "broken.csv"), "broken.csv", *parts)


def test_a_byte_order_mark_is_no_part_of_a_name(cli, tmp_path):
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbfsize,label\n1,a\n2,b\n")
    assert "size" in [line.split()[0] for line in cli("inspect", tmp_path / "bom.csv").out.splitlines() if line]


def test_tables_that_are_none(cli, tmp_path):
    refused(cli("inspect", tmp_path / "absent.csv"), "absent.csv", "no such file")
    refused(cli("inspect", tmp_path), "without Parquet or Arrow files")
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    refused(cli("inspect", tmp_path / "t.xlsx"), "t.xlsx", "spreadsheet", "CSV")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nothing")
    refused(cli("inspect", tmp_path / "t.parquet"), "t.parquet")


def test_a_folder_that_is_not_a_runs_is_left_alone(cli, table, tmp_path):
    (tmp_path / "mine.txt").write_text("dear")
    for words in ((), ("--overwrite",)):
        refused(cli("train", table, "--target", "label", "-o", tmp_path, *words), "mine.txt", "no run wrote")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_cannot_be_written_is_refused_before_training(cli, table, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file/run"):
        refused(cli("train", table, "--target", "label", "-o", path), str(path), "Cannot write")


def test_predict_refuses_before_it_works(cli, run, table, tmp_path):
    before = table.read_bytes()
    refused(cli("predict", run / "bundle", table, "-o", tmp_path / "out.cvs"), "'.cvs'", "Did you mean '.csv'")
    refused(cli("predict", run / "bundle", table, "-o", tmp_path / "no/out.csv"), "no folder")
    refused(cli("predict", run / "bundle", table, "-o", table), "the table itself")
    refused(cli("predict", tmp_path, table, "-o", tmp_path / "out.csv"), str(tmp_path))
    assert table.read_bytes() == before
    assert list(tmp_path.iterdir()) == []


def test_evaluate_refuses_before_it_works(cli, run, table, tmp_path):
    before = table.read_bytes()
    refused(cli("evaluate", run / "bundle", table, "--json", tmp_path / "no/figures.json"), "no folder")
    refused(cli("evaluate", run / "bundle", table, "--json", table), "the table itself")
    assert table.read_bytes() == before


def test_the_folder_of_a_run_is_not_its_bundle(cli, run, table, tmp_path):
    refused(cli("predict", run, table, "-o", tmp_path / "out.csv"), f"Did you mean {run / 'bundle'}?")


def test_a_data_set_that_cannot_be_kept(cli, tmp_path):
    (tmp_path / "file").write_text("")
    refused(cli("datasets", "build", "avdigits", "--folder", tmp_path / "file"), str(tmp_path / "file"), "--folder")


def test_predict_and_evaluate_need_their_columns(cli, run, tmp_path):
    rows = make_rows(tmp_path / "data", 4)
    for gone, command in (("photo", "predict"), ("label", "evaluate"), ("note", "evaluate")):
        path = write_csv(tmp_path / f"{gone}.csv", [{k: v for k, v in row.items() if k != gone} for row in rows])
        words = ("-o", tmp_path / "out.csv") if command == "predict" else ()
        refused(cli(command, run / "bundle", path, *words), f"{gone}.csv", f"'{gone}'")
    assert not (tmp_path / "out.csv").exists()


def test_evaluate_needs_one_known_target(cli, run, tmp_path):
    rows = [{**row, "label": "bird"} for row in make_rows(tmp_path / "data", 4)]
    refused(cli("evaluate", run / "bundle", write_csv(tmp_path / "data/t.csv", rows)), "t.csv", "'label'")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("trian",), ("'trian'", "Did you mean 'train'?")),
        (("train", "t.csv", "--targt", "x"), ("--targt", "Did you mean '--target'?", "polymodal train --help")),
        (("train",), ("TABLE",)),
        (("train", "t.csv"), ("--output",)),
        (("train", "t.csv", "-o", "x", "--seed", "one"), ("--seed",)),
        (("train", "t.csv", "-o", "x", "--budget", "10 parsecs"), ("budget", "'10 parsecs' is no time", "90s, 10m")),
        (("datasets", "buidl"), ("Did you mean 'build'?",)),
        (("datasets", "build", "avdigit"), ("Did you mean 'avdigits'?",)),
        (("list", "fusion"), ("Did you mean 'fusions'?",)),
        (("list", "fusions", "tasks"), ("(tasks). See: polymodal list --help",)),
    ],
)
def test_a_typo_on_the_command_line(cli, words, parts):
    refused(cli(*words), *parts)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("train t.csv -o x --epochs 5", "train t.csv -o x --set train.epochs=5"),
        ("train t.csv --batch-size=8 -o x", "train t.csv --set train.batch_size=8 -o x"),
        ("train t.csv -o x --lr 1e-3", "train t.csv -o x --set train.optimizer.lr=1e-3"),
        ("train t.csv -o x --fusion gated --stage late", "train t.csv -o x --set fusion=gated --set stage=late"),
        ("train t.csv -o x --task regress --seed 3", "train t.csv -o x --set task=regress --seed 3"),
        ("train t.csv -o x --time-limit 10m", "train t.csv -o x --budget 10m"),
        ("train t.csv -o x --label 'my label'", "train t.csv -o x --target 'my label'"),
        ("train t.csv -o x --no-augment", "train t.csv -o x --set train.augment=false"),
        ("train t.csv -o x --optimizer sgd --wibble 3", "train t.csv -o x --set train.optimizer.name=sgd --wibble 3"),
        ("train t.csv -o x --epoch 5", "train t.csv -o x --set train.epochs=5"),
        ("train t.csv -o x --patience", "train t.csv -o x --set train.early_stopping.patience=VALUE"),
        ("compare t.csv --fusion sum --epochs 2", "compare t.csv --fusion sum --set train.epochs=2"),
        ("update b t.csv -o x --epochs 2", "update b t.csv -o x --set update.epochs=2"),
    ],
)  # fmt: skip
def test_an_option_that_people_type_is_answered_with_the_command_to_type(cli, typed, meant):
    done = cli(*shlex.split(typed))
    refused(done, "No such option: --")
    assert done.err.partition("Type: ")[2] == f"polymodal {meant}\n"


def test_an_option_that_stands_for_nothing_leads_to_the_help(cli):
    refused(cli("train", "t.csv", "-o", "x", "--wibble", "3"), "No such option: --wibble. See: polymodal train --help")
    refused(cli("predict", "b", "t.csv", "-o", "x", "--batch-size", "8"), "--batch-size. See: polymodal predict --help")


def test_a_setting_without_its_path_is_answered_with_it(train):
    refused(train(settings=["batch_size=8"]), "'batch_size'. Did you mean 'train.batch_size'?")


def test_debug_shows_the_traceback_wherever_it_stands(cli, tmp_path):
    for words in (("--debug", "inspect", tmp_path / "t.csv"), ("inspect", tmp_path / "t.csv", "--debug")):
        done = cli(*words)
        assert done.code == 2
        assert "Traceback" in done.err
        assert done.err.rstrip().endswith("no such file.")


def test_terminal_control_characters_are_escaped(cli, tmp_path):
    name = "\x1b[31mred\x1b[0m"
    (tmp_path / "t.csv").write_text(f"{name},b\n1,2\n")
    shown = cli("inspect", tmp_path / "t.csv").out
    blamed = cli("inspect", tmp_path / "t.csv", "--target", "\x1b]0;gone\x07").err
    for text in (shown, blamed):
        assert "\x1b" not in text and "\x07" not in text
        assert "\\x1b" in text


def test_the_program_ends_with_the_exit_code():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "polymodal.cli.main", "inspect", "absent.csv"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: absent.csv: no such file.\n"


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("columns.size=category", "columns.size.modality=category"),
        ("columns.size=words", "columns.size.modality="),
        ("columns.size=b.modality", "columns.size.modality="),
        ("size.modality=category", "columns.size.modality=category"),
        ("columns.size.category=true", "columns.size.modality=category"),
        ("columns.size.type=category", "columns.size.modality=category"),
        ("columns.size.scaling=none", "columns.size.modality.scaling"),
        ("columns.sze.modality=text", "Did you mean 'size'?"),
    ],
)
def test_a_setting_of_a_column_in_another_form_is_answered_with_the_form(train, setting, meant):
    refused(train(settings=[setting]), meant)


def test_a_column_in_another_case_is_found(train):
    for words in (("--target", "Label"), ("--drop", "NOTE"), ("--split", "Side"), ("--group", "Colour")):
        refused(
            train(*words, target=None if words[0] == "--target" else "label"), f"Did you mean '{words[1].lower()}'?"
        )


def test_several_columns_in_one_word_are_answered_with_the_form(train):
    refused(train("--drop", "note,size"), "--drop note --drop size")
    refused(train("--drop", "note, size"), "--drop note --drop size")
    refused(train(target="size,label"), "--target size --target label")
    refused(train("--drop", "nnote", "--drop", "Size"), "Did you mean 'note'?", "Did you mean 'size'?")


def test_an_option_that_names_no_column(train):
    for option in ("--target", "--drop", "--split", "--group"):
        refused(train(f"{option}=", target=None), option, f"{option} COL")


def test_all_that_is_wrong_with_settings_is_told_at_once(cli, table, tmp_path):
    (tmp_path / "run.yaml").write_text("target: label\nepochs: 5\n")
    words = ("train", table, "-o", tmp_path / "run", "-c", tmp_path / "run.yaml", "--budget", "soon")
    done = cli(*words, settings=["train.epochs=ten", "fusion=concta", "train.batch_size", "seed=-1", "a=[1"])
    assert done.code == 2
    for part in ("'epochs'", "'soon'", "train.epochs", "'concat'", "PATH=VALUE", "seed", "YAML"):
        assert part in done.err


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        ("train t.csv -o x --epochs=ten --seed one", ("--epochs", "'--seed'", "train.epochs: ")),
        ("train t.csv -o x --wibble 3 --seed one --set fusion=concta", ("--wibble", "'--seed'", "'concat'")),
        ("train t.csv --seed one", ("'--seed'", "'--output'")),
        ("train t.csv -o x --batch_size 8 --set a", ("train.batch_size=8", "PATH=VALUE")),
        ("train t.csv -o x --target", ("--target COL", "polymodal train --help")),
        ("train t.csv --set", ("--set PATH=VALUE",)),
        ("train t.csv -o x --target --split side", ("--target needs a value", "--target COL --split side")),
    ],
)
def test_all_that_is_wrong_on_the_command_line_is_told_at_once(cli, typed, parts):
    refused(cli(*shlex.split(typed)), *parts)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("train t.csv -o x --drop a b", "train t.csv -o x --drop a --drop b"),
        ("train t.csv -o x --drop a, b, c --seed 1", "train t.csv -o x --drop a --drop b --drop c --seed 1"),
        ("train t.csv -o x --set train.epochs = 5", "train t.csv -o x --set train.epochs=5"),
        ("train t.csv -o x --set train.epochs= 5", "train t.csv -o x --set train.epochs=5"),
        ("train t.csv -o x -target y", "train t.csv -o x --target y"),
    ],
)
def test_a_slip_is_answered_with_the_command_to_type(cli, typed, meant):
    done = cli(*shlex.split(typed))
    refused(done)
    assert done.err.partition("Type: ")[2] == f"polymodal {meant}\n"


def test_a_word_too_many_is_not_explained_away(cli):
    done = cli("train", "t.csv", "other.csv", "-o", "x", "--target", "y")
    refused(done, "other.csv", "polymodal train --help")
    assert "Type: " not in done.err
