"""Describe the interface in its own terms."""

from typing import Any

from qmpserver.daemon import Daemon
from qmpserver.schema.introspect import query_qmp_schema as describe


def query_qmp_schema(daemon: Daemon) -> list[dict[str, Any]]:
    """Describe every command, event and type."""
    return describe(daemon.schema)
