"""The language of lines, beside the real ``qmp-shell``."""

import json
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from qemu.qmp.qmp_shell import QMPShell, QMPShellError

from qmpserver.shell.line import LineReader
from qmpserver.shell.words import LineError

REFUSED = "refused"


class RealLines(QMPShell):
    """The real shell's reader of lines, without a server."""

    def __init__(self) -> None:
        self._transmode = False
        self._actions: list[Any] = []

    def _cli_expr(self, tokens: Sequence[str], parent: dict[str, Any]) -> None:
        """Begin at the top with each word; the real one goes on where a dotted key has led."""
        for token in tokens:
            super()._cli_expr([token], parent)

    def read(self, line: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._read(line)

    def _read(self, line: str) -> Any:
        try:
            # What the real shell sends is what json.dumps makes of it; where that fails the shell itself ends.
            return json.loads(json.dumps(self._build_cmd(line)))
        except (QMPShellError, TypeError, ValueError, RecursionError):
            return REFUSED

    def __del__(self) -> None:
        """Leave out the real one's: there is nothing to close."""


def ours(reader: LineReader, line: str) -> Any:
    try:
        return reader.read(line)
    except LineError:
        return REFUSED


LINES = [
    "query-version",
    "  query-version  ",
    "",
    "device_add driver=e1000 id=net1",
    "a b=1 c=-5 d=0x10 e=1_0 f=+3 g=1.5 h=007",
    "a b=true c=True d=FALSE e=null f=none g=yes",
    "a b= c==d d=e=f =g",
    "a b.c=1 b.d=2 b.e.f=x",
    "a b.c=1 b=2",
    "a b=1 b.c=2",
    "a b=1 b=2",
    "a b.=1 .c=2",
    'a b={"c":1} b.d=2',
    "a b",
    "a b=c d",
    'a b={"c":[1,2.5,null,true]}',
    "a b={'c':'d','e':True,'f':None,'g':(1,2)}",
    "a b=['x',null,true,false]",
    "a b={1:2,None:3}",
    "a b={'x':nope}",
    "a b={oops c=[",
    "a b={'x':1,'x':2}",
    'a b={"x":1,"x":2}',
    "a b='c d' e=\"f g\"",
    "a b=c'd e'f",
    "a b=it\\'s",
    'a b={"c":"d e"}',
    "a b={'c':'d\\'e'}",
    "a b={'c':'\\d'}",
    "transaction(",
    "transaction( )",
    "transaction( a b=1 )",
    "transaction( a b={'c':1}",
    "transaction( ) x",
    "transaction( a b=)",
    "transaction actions=[]",
    "transaction(a)",
    ")",
    ") x",
    "quit",
    "exec-oob",
    "a b=ä c=\u2028d",
    "\u00a0a b=1",
    "a b=\t1",
]
"""Lines that both read, or that the real one refuses."""


@pytest.mark.parametrize("line", LINES)
def test_what_qmp_shell_takes_means_the_same_here(line: str) -> None:
    real = RealLines().read(line)
    assert real == REFUSED or ours(LineReader(), line) == real


@pytest.mark.parametrize(
    "lines",
    [
        ["transaction(", "a b=1", "", "c", "d e={", ")", "q"],
        ["transaction( a b=1", "c d.e=2 )", "q"],
        ["transaction(", "a", "transaction(", "b", ")"],
        ["transaction(", "a b", "c", ")"],
        ["transaction(", ") x"],
        ["transaction(", "q )", "q )"],
    ],
)
def test_transactions_go_on_from_line_to_line_as_in_qmp_shell(lines: list[str]) -> None:
    real, reader = RealLines(), LineReader()
    assert [ours(reader, line) for line in lines] == [real.read(line) for line in lines]


PIECES = [
    "a",
    "b",
    ".",
    "=",
    "=",
    " ",
    " ",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "'",
    '"',
    "\\",
    "1",
    "-",
    "true",
    "null",
]


@given(
    st.lists(st.sampled_from([*PIECES, "transaction(", ")", "()", "'c'", '"d"', "#"]), max_size=24).map(
        "".join
    )
)
@settings(max_examples=60)
@example("a b=' c=1")
def test_no_line_means_something_else_here(text: str) -> None:
    line = f"x {text}"
    real = RealLines().read(line)
    found = ours(LineReader(), line)
    # An unclosed quote is left out there, and refused here.
    assert real in (REFUSED, found) or (found == REFUSED and _has_unclosed_quote(line))


def _has_unclosed_quote(line: str) -> bool:
    return (
        line.count("'") % 2 == 1 or line.count('"') % 2 == 1 or "\\" in line or ("'" in line and '"' in line)
    )
