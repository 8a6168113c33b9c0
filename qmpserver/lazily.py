"""Load modules when they are first used, which in a short run may be never.

It is what ``lazy import`` says from Python 3.15 on (PEP 810).  ``importlib.util.LazyLoader`` does not do: it
loads a module as soon as a second ``import`` names it.
"""

import sys
from _thread import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:  # slow to import
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec

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


class _Loader:
    """Does all that a module's own loader does, but for running it."""

    def __init__(self, loader: "Loader") -> None:
        self._loader = loader

    def create_module(self, spec: "ModuleSpec") -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        module.__class__ = _PutOff


class _Finder:
    """Finds modules as the others do, each of which is put off when it is imported."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(
        self, name: str, path: "Sequence[str] | None", target: ModuleType | None = None
    ) -> "ModuleSpec | None":
        if name not in self.names:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = cast("Loader", _Loader(spec.loader))
                return spec
        return None


_finder = _Finder()


def put_off(*names: str) -> None:
    """Have ``import`` of these modules cost nothing until something of them is used.

    It is for the start of a program of ours.  What is loaded already stays as it is.
    """
    _finder.names.update(names)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
