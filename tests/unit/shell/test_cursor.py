import pytest

from qmpserver.shell.cursor import Place, Wanted, find

C, K, V = Wanted.COMMAND, Wanted.KEY, Wanted.VALUE
DATA = ("actions", "data")
A_DATA = {"actions": {"type": "a", "data": {}}}

PLACES = [
    ("", Place(C, "")),
    ("  que", Place(C, "que")),
    ("help que", Place(C, "que")),
    ("help a ", Place(K, "", "a")),
    ("a ", Place(K, "", "a")),
    ("a b", Place(K, "b", "a")),
    ("a b=", Place(V, "", "a", ("b",))),
    ("a b=1 c=x", Place(V, "x", "a", ("c",), {"b": 1})),
    ("a oops b=1 c.d.e", Place(K, "e", "a", ("c", "d"), {"b": 1})),
    ("a c.d=x c.e=", Place(V, "", "a", ("c", "e"), {"c": {"d": "x"}})),
    ('a b={"c": "d", "e', Place(K, '"e', "a", ("b",), {"b": {"c": "d"}}, '"')),
    ("a b={'c':'d','e':'f", Place(V, "'f", "a", ("b", "e"), {"b": {"c": "d"}}, "'")),
    ('a b={"c":{"d":1},"e":{', Place(K, "", "a", ("b", "e"), {"b": {"c": {"d": "1"}, "e": {}}}, '"')),
    ('a b=[{"c":1},{"d":', Place(V, "", "a", ("b", "d"), {"b": {}}, '"')),
    ('a f=1 {"b":tr', Place(V, "tr", "a", ("b",), {"f": 1}, '"')),
    ('a b={"c" ', None),
    ('a b={"c":1 ', None),
    ('a b={"c":1}', None),
    ("a b={]", None),
    ('{"execute": "que', Place(C, '"que', quote='"')),
    ('{"execute": "a", "arguments": {"b": ', Place(V, "", "a", ("b",), {}, '"')),
    ('{"exec', None),
    ("transaction( a", Place(V, "a", "transaction", ("actions", "type"))),
    ("transaction( a b", Place(K, "b", "transaction", DATA, A_DATA)),
    ("transaction( a b=c", Place(V, "c", "transaction", (*DATA, "b"), A_DATA)),
]


@pytest.mark.parametrize(("text", "place"), PLACES)
def test_a_cursor_is_somewhere(text: str, place: Place | None) -> None:
    assert find(text) == place


def test_inside_a_transaction_the_first_word_is_an_action() -> None:
    assert find("a", in_transaction=True) == Place(V, "a", "transaction", ("actions", "type"))
    assert find("a b=", in_transaction=True) == Place(V, "", "transaction", (*DATA, "b"), A_DATA)
    assert find('{"type": "', in_transaction=True) == Place(
        V, '"', "transaction", ("actions", "type"), {"actions": {}}, '"'
    )


def test_no_text_is_too_odd_to_be_looked_at() -> None:
    for text in (
        "}",
        "a }",
        "a b={:",
        "a b={,,",
        "a b=[1,[",
        "{[",
        "a b={}}",
        "'",
        'a "',
        "a b.=",
        "a =",
        "transaction( )",
    ):
        find(text)
