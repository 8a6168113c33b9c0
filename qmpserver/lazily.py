"""Load modules of the standard library when they are first used, which in a short run may be never.

It is what ``lazy import`` says from Python 3.15 on (PEP 810).  ``importlib.util.LazyLoader`` does not do: it
loads a module as soon as a second ``import`` names it.
"""

import sys
import threading
from importlib import util
from types import ModuleType
from typing import Any

_turn = threading.RLock()


class _PutOff(ModuleType):
    """A module that has not been run yet."""

    def __getattr__(self, name: str) -> Any:
        """Run the module, since something of it is used that is not there."""
        with _turn:
            if type(self) is _PutOff:
                self.__class__ = ModuleType  # type: ignore[assignment]
                assert self.__spec__ is not None
                assert self.__spec__.loader is not None
                self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def put_off(*names: str) -> None:
    """Have ``import`` of these modules cost nothing until something of them is used.

    It is for the start of a program of ours.  What is loaded already stays as it is.
    """
    for name in names:
        if name in sys.modules or (spec := util.find_spec(name)) is None:
            continue
        module = util.module_from_spec(spec)
        module.__class__ = _PutOff
        sys.modules[name] = module
