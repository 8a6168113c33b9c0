"""Report what is wrong with an option."""

import contextlib
from collections.abc import Iterator

from qmpserver.errors import QMPError, error_text


class OptionError(Exception):
    """Report that an option could not be carried out.

    Args:
        message: What is wrong.
        about: The option as it was written, or nothing.
        hint: What a person is told below that, or nothing.
    """

    def __init__(self, message: str, about: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.about = about
        self.hint = hint


@contextlib.contextmanager
def told_of(written: str = "") -> Iterator[None]:
    """Have what goes wrong meanwhile told of an option.

    Args:
        written: The option as it was written; nothing for what no single option asks for.

    Raises:
        OptionError: A QMPError or an OSError was raised.
    """
    try:
        yield
    except QMPError as error:
        raise OptionError(error.description, written, error.hint) from error
    except OSError as error:
        raise OptionError(error_text(error), written) from error
