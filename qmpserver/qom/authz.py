"""Who may come in, as objects: ``authz-simple`` and ``authz-list``."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from qmpserver.qom.user_object import UserObject


@dataclass(frozen=True, slots=True)
class Authorization(UserObject, ABC):
    """Decides by somebody's name, which for a certificate is its subject."""

    @abstractmethod
    def admits(self, identity: str) -> bool:
        """Say whether somebody of that name may come in."""


class SimpleAuthorization(Authorization):
    """One name may come in."""

    def admits(self, identity: str) -> bool:
        """Say whether it is that name."""
        return bool(identity == self.properties["identity"])


class ListAuthorization(Authorization):
    """The first rule that fits decides."""

    def admits(self, identity: str) -> bool:
        """Say what the first rule that fits says, or else the policy."""
        for rule in self.properties.get("rules", ()):
            if _fits(rule, identity):
                return bool(rule["policy"] == "allow")
        return bool(self.get_property("policy") == "allow")

    def get_property(self, name: str) -> Any:
        """Return the value of a property."""
        if name == "policy":
            return self.properties.get("policy", "deny")
        if name == "rules":
            return [{"format": "exact", **rule} for rule in self.properties.get("rules", ())]
        return super().get_property(name)


def _fits(rule: dict[str, Any], identity: str) -> bool:
    match: str = rule["match"]
    if rule.get("format", "exact") == "exact":
        return identity == match
    # Only these two are special, so that no bracket in a name is taken for a set.
    pattern = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in match)
    return re.fullmatch(pattern, identity, re.DOTALL) is not None
