"""Load the packages that encryption rests on, which not every installation has."""

import importlib
from types import ModuleType

from qmpserver.errors import QMPError


def load(name: str) -> ModuleType:
    """Return a module of ``cryptography`` or ``numpy``.

    Raises:
        QMPError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise QMPError(
            "Encryption needs the packages 'cryptography' and 'numpy' (install 'qmpserver[crypto]')"
        ) from error
