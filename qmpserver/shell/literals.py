"""Read values as ``qmp-shell`` does: whole numbers, true and false, JSON, Python's own literals, or plain text."""

import ast
import json
import warnings
from typing import Any

_BRACKETS = ("{", "[")
_CONSTANTS = {"true": True, "false": False, "null": None}
_MALFORMED = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


class LiteralError(ValueError):
    """Report text in brackets that is neither JSON nor a Python literal."""


def read_value(text: str) -> Any:
    """Return what the text says, or the text itself where it says nothing else.

    Numbers with a point are text, and so are quotes around a word: the judge is ``qmp-shell``.
    """
    try:
        return int(text)
    except ValueError:
        pass
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.startswith(_BRACKETS):
        try:
            return read_brackets(text)
        except LiteralError:
            return text
    return text


def read_brackets(text: str) -> Any:
    """Return the object or list that the text writes, in JSON or as Python would write it.

    Raises:
        LiteralError: It is neither.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        # A dump and a load: keys become strings and tuples lists, and what JSON cannot say is refused.
        return json.loads(json.dumps(_python_literal(text)))
    except _MALFORMED as error:
        raise LiteralError(f"'{text}' is neither JSON nor a Python literal") from error


def _python_literal(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an odd escape in a string is no matter of ours
        tree = ast.parse(text, mode="eval")
    return ast.literal_eval(_JSONConstants().visit(tree))


class _JSONConstants(ast.NodeTransformer):
    """Let JSON's three words stand among Python's."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in _CONSTANTS:
            return ast.Constant(value=_CONSTANTS[node.id])
        return node
