import io
import sys

import pytest

from polymodal.cli import terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_break_and_nothing_else_steers_the_terminal(capsys):
    terminal.say("a\nb\tc\x1b[2J\u202e")
    terminal.complain("d\r")
    captured = capsys.readouterr()
    assert captured.out == "a\nb\\tc\\x1b[2J\\u202e\n"
    assert captured.err == "d\\r\n"


def test_a_table_is_plain_lines_where_nobody_watches(capsys):
    terminal.tabulate(("name", "n"), [("[bold]a[/]", "1"), ("b\nc", "22")])
    assert capsys.readouterr().out.splitlines() == ["name        n", "[bold]a[/]  1", "b c         22"]


def test_a_table_on_a_terminal_takes_no_markup_from_cells(monkeypatch):
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "60")
    terminal.tabulate(("name", "n"), [("[bold]a[/]", "1"), ("\x1b[2J", "2")])
    shown = out.getvalue()
    assert "[bold]a[/]" in shown
    assert "\x1b[2J" not in shown and "\\x1b[2J" in shown


@pytest.mark.parametrize("watched", [True, False])
def test_counting_is_for_who_watches(monkeypatch, watched):
    err = Terminal() if watched else io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    with terminal.counting("row") as show:
        assert (show is not None) == watched
        if show is not None:
            show(3, 7)
    assert ("row 3/7" in err.getvalue()) == watched
