"""Check the sizes among a driver's options, which JSON gives a sign."""

from qmpserver.errors import QMPError


def check_size(name: str, value: int) -> None:
    """Refuse a size that is less than nothing; QEMU's text.

    Raises:
        QMPError: It is.
    """
    if value < 0:
        raise QMPError(f"Value '{value}' is out of range for parameter '{name}'")
