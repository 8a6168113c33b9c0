"""Lines are edited as on QEMU's monitor, and what is shown are the same bytes."""

from collections.abc import Sequence

import pytest

from qmpserver.machine.hmp.history import History
from qmpserver.machine.hmp.line_editor import LineEditor

WORDS = ("stats", "status", "stop", "name/")
LEFT, RIGHT, ERASE = "\x1b[D", "\x1b[C", "\x1b[K"


def complete(line: str) -> Sequence[str]:
    word = line.rsplit(" ", maxsplit=1)[-1]
    return [each for each in WORDS if each.startswith(word)]


def editor(*earlier: str) -> LineEditor:
    history = History()
    for line in earlier:
        history.add(line)
    return LineEditor("> ", complete, history)


def typed(made: LineEditor, keys: str) -> tuple[list[str], str]:
    """Type, and return the lines that came of it and what was shown."""
    made.feed(keys.encode())
    lines, shown = [], bytearray()
    while True:
        line = made.next_line()
        shown += made.take_output()
        if line is not None:
            lines.append(line)
        elif not made.has_more:
            return lines, shown.decode("latin-1")


def line_of(keys: str, *earlier: str) -> str:
    """Return the line that keys make."""
    (line,), _ = typed(editor(*earlier), f"{keys}\r")
    return line


SHOWN = [
    ("a", f"a{ERASE}"),
    ("ab", f"a{ERASE}{LEFT}ab{ERASE}"),
    ("ab\x1b[DX", f"a{ERASE}{LEFT}ab{ERASE}{LEFT}{LEFT}aXb{ERASE}{LEFT}"),
    ("a\x01\x05", f"a{ERASE}{LEFT}{RIGHT}"),
    ("a\x7f", f"a{ERASE}{LEFT}{ERASE}"),
    ("\x1b[A", f"latest{ERASE}"),
    ("\x10\x0e", f"latest{ERASE}{LEFT * 6}{ERASE}"),
    ("\n", "\r\n"),
    (
        "stat\t",
        f"s{ERASE}{LEFT}st{ERASE}{LEFT * 2}sta{ERASE}{LEFT * 3}stat{ERASE}\r\nstats     status    \r\n> stat{ERASE}",
    ),
    ("sto\t", f"s{ERASE}{LEFT}st{ERASE}{LEFT * 2}sto{ERASE}{LEFT * 3}stop {ERASE}"),
    ("n\t", f"n{ERASE}{LEFT}name/{ERASE}"),
    ("x\t", f"x{ERASE}"),
    ("\x03\x07", ""),
]


@pytest.mark.parametrize(("keys", "shown"), SHOWN)
def test_each_key_shows_what_qemu_shows(keys: str, shown: str) -> None:
    assert typed(editor("latest"), keys) == (([""] if keys == "\n" else []), shown)


EDITED = [
    ("abc\x1b[D\x7f", "ac"),
    ("abc\x01\x04\x04", "c"),
    ("abc\x01\x1b[3~x", "xbc"),
    ("one two\x17", "one "),
    ("one two  \x17x", "one x"),
    ("one two\x1b[D\x1b[D\x15", "wo"),
    ("one two\x01\x06\x06\x0b", "on"),
    ("b\x1b[Ha\x1b[Fc", "abc"),
    ("b\x1bOHa\x1bOFc", "abc"),
    ("b\x1b[1~a\x1b[4~c", "abc"),
    ("a\x1b[1;5Db", "ba"),
    ("a\x1bxb\x1b[9~c", "abc"),
    ("\x1b[A\x1b[A", "first"),
    ("\x1b[A\x1b[A\x1b[A\x1b[B", "second"),
    ("x\x1b[A\x1b[B", ""),
    ("é", "é"),
    ("x" * 4100, "x" * 4095),
]


@pytest.mark.parametrize(("keys", "line"), EDITED)
def test_keys_edit_the_line(keys: str, line: str) -> None:
    assert line_of(keys, "first", "second") == line


@pytest.mark.parametrize("keys", [keys for keys, _ in EDITED[:-1]])
def test_it_makes_no_difference_how_keys_arrive(keys: str) -> None:
    whole, piecewise = editor("first", "second"), editor("first", "second")
    shown = ""
    for byte in f"{keys}\r".encode():
        piecewise.feed(bytes([byte]))
        line = piecewise.next_line()
        shown += piecewise.take_output().decode("latin-1")
    assert ([line], shown) == typed(whole, f"{keys}\r")


def test_a_line_is_remembered_once_and_not_for_ever() -> None:
    history = History()
    for line in ("a", "b", "a", ""):
        history.add(line)
    assert history.lines == ["b", "a"]
    for number in range(100):
        history.add(str(number))
    assert history.lines == [str(number) for number in range(36, 100)]


def test_what_is_shown_of_much_that_is_typed_comes_in_parts() -> None:
    made = editor()
    made.feed(b"x" * 2000 + b"\r")
    assert made.next_line() is None
    assert made.has_more
    assert 64 << 10 <= len(made.take_output()) < 72 << 10
    assert typed(made, "")[0] == ["x" * 2000]
