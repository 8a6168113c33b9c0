"""Load modules of the standard library when they are first used, which in a short run may be never.

It is what ``lazy import`` says from Python 3.15 on (PEP 810).  ``importlib.util.LazyLoader`` does not do: it
loads a module as soon as a second ``import`` names it.
"""

import sys
from _thread import RLock
from importlib import util
from types import ModuleType
from typing import Any

_turn = RLock()
_running: set[str] = set()
"""The modules that are being run, by whoever has the turn."""

_OF_IMPORT = frozenset(
    ("__class__", "__dict__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__")
)
"""What `import` itself looks at, which is no use of a module."""


class _PutOff(ModuleType):
    """A module that has not been run yet, or not to its end."""

    def __getattribute__(self, name: str) -> Any:
        """Run the module, since something of it is used; meanwhile other threads wait, as with any import."""
        if name not in _OF_IMPORT:
            with _turn:
                if type(self) is _PutOff and self.__name__ not in _running:
                    _run(self)
        return ModuleType.__getattribute__(self, name)


def _run(module: ModuleType) -> None:
    name, spec = module.__name__, module.__spec__
    assert spec is not None
    assert spec.loader is not None
    _running.add(name)
    try:
        spec.loader.exec_module(module)
        module.__class__ = ModuleType
    finally:
        _running.discard(name)


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
