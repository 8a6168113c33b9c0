"""Read the sizes that the image tool is given, and say what is wrong with one."""

from qmpserver.cli.command_line import Failure
from qmpserver.numerals import MAX_SIZE, parse_size


def size_of(what: str, text: str, least: int = 0, most: int = MAX_SIZE) -> int:
    """Return the bytes that an argument means.

    Args:
        what: What the argument is called in a message.
        text: What the user wrote.
        least: The smallest number allowed.
        most: The greatest.

    Raises:
        Failure: It is no such number.
    """
    size = parse_size(text)
    if size is None:
        raise Failure(f"Invalid {what} specified: '{text}'")
    if not least <= size <= most:
        if most == MAX_SIZE and not least:
            raise Failure(f"Invalid {what} specified. Must be between 0 and {MAX_SIZE}.")
        raise Failure(f"Invalid {what} specified. Must be between {least} and {most}.")
    return size
