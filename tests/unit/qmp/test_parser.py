"""The limit on tokens, which takes too long to reach through the lexer."""

import pytest

from qmpserver.qmp.lexer import Token, TokenKind
from qmpserver.qmp.parser import INCOMPLETE, MAX_TOKENS, JSONError, Parser

OPEN = Token(TokenKind.PUNCTUATION, b"[", 1, 1)
CLOSE = Token(TokenKind.PUNCTUATION, b"]", 1, 1)
COMMA = Token(TokenKind.PUNCTUATION, b",", 1, 1)
EMPTY = Token(TokenKind.STRING, b'""', 1, 1)
NULL = Token(TokenKind.KEYWORD, b"null", 1, 1)


def almost_full() -> Parser:
    """Return a parser that has taken all the tokens of a message but one."""
    parser = Parser()
    parser.push(OPEN)
    for _ in range((MAX_TOKENS - 2) // 2):
        parser.push(EMPTY)
        parser.push(COMMA)
    return parser


def test_tokens_past_two_mebi_are_refused_once() -> None:
    parser = almost_full()
    parser.push(EMPTY)
    with pytest.raises(JSONError, match="JSON token count limit exceeded"):
        parser.push(COMMA)
    assert parser.push(NULL) is INCOMPLETE
    assert parser.push(CLOSE) is INCOMPLETE
    assert parser.push(NULL) is None


def test_a_message_is_between_no_others_until_it_is_level() -> None:
    parser = Parser()
    for token, level in ((OPEN, False), (NULL, False), (CLOSE, True), (NULL, True)):
        parser.push(token)
        assert parser.is_between_messages is level
