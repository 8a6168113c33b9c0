"""Find out what most children say."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V", bound=Hashable)


def votes(said: Mapping[K, V]) -> list[tuple[V, list[K]]]:
    """Return each version with those who said it, the one said most often first, then by age."""
    versions: dict[V, list[K]] = {}
    for voter, version in said.items():
        versions.setdefault(version, []).append(voter)
    return sorted(versions.items(), key=lambda entry: -len(entry[1]))
