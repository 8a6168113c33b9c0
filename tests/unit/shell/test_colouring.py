import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.shell.colouring import Part, parts

COMMANDS = ["a"]
ROWS = [
    ("a", [(Part.COMMAND, "a")]),
    ("b", [(Part.UNKNOWN, "b")]),
    (
        "a b=1 ",
        [
            (Part.COMMAND, "a"),
            (Part.BLANK, " "),
            (Part.KEY, "b"),
            (Part.PUNCTUATION, "="),
            (Part.CONSTANT, "1"),
            (Part.BLANK, " "),
        ],
    ),
    (
        '{"b": [true]}',
        [
            (Part.PUNCTUATION, "{"),
            (Part.KEY, '"b"'),
            (Part.PUNCTUATION, ":"),
            (Part.BLANK, " "),
            (Part.PUNCTUATION, "["),
            (Part.CONSTANT, "true"),
            (Part.PUNCTUATION, "]}"),
        ],
    ),
    ("transaction( )", [(Part.COMMAND, "transaction("), (Part.BLANK, " "), (Part.COMMAND, ")")]),
]


@pytest.mark.parametrize(("line", "expected"), ROWS)
def test_a_line_is_cut_by_what_its_parts_are(line: str, expected: list[tuple[Part, str]]) -> None:
    assert list(parts(line, COMMANDS)) == expected


def test_nothing_is_unknown_while_nothing_is_known() -> None:
    assert list(parts("b", [])) == [(Part.COMMAND, "b")]
    assert list(parts("b", COMMANDS, in_transaction=True)) == [(Part.COMMAND, "b")]


@given(st.text(alphabet="ab =.{}[]:,'\"\\1\t", max_size=30))
@settings(max_examples=60)
def test_the_parts_of_a_line_are_the_line(line: str) -> None:
    assert "".join(text for _, text in parts(line, COMMANDS)) == line
