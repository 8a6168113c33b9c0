"""Make a new image: the job of ``blockdev-create``."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.block.opener import Opener
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.extras import SupportsCreate, SupportsCreateFile
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.driver_api.secrets import SecretSource
from qmpserver.errors import NodeInUse, QMPError
from qmpserver.jobs.job import JobOwner
from qmpserver.jobs.one_step import OneStepJob

_HELD = PermissionSet(Permission.WRITE | Permission.RESIZE, PERM_ALL)


class CreateJob(OneStepJob):
    """Makes one image.

    Args:
        manager: Holds the job.
        job_id: Its name.
        driver_class: The driver of the format or protocol.
        options: Its ``BlockdevCreateOptions`` members, without `driver`.
        opener: Opens the nodes that the image is to be kept in.
        graph: Where those are.
        secrets: Where the secrets are that options name.

    Raises:
        QMPError: The driver cannot make images.
    """

    job_type: ClassVar[str] = "create"

    def __init__(
        self,
        manager: JobOwner,
        job_id: str,
        driver_class: type[BlockDriver],
        options: dict[str, Any],
        *,
        opener: Opener,
        graph: Graph,
        secrets: SecretSource,
    ) -> None:
        super().__init__(manager, job_id)
        if not issubclass(driver_class, SupportsCreate | SupportsCreateFile):
            raise QMPError("Driver does not support blockdev-create")
        self._driver_class = driver_class
        self._options = options
        self._opener = opener
        self._graph = graph
        self._secrets = secrets

    async def step(self) -> None:
        """Make the image, in the nodes that its options name or describe."""
        driver_class, options = self._driver_class, dict(self._options)
        if issubclass(driver_class, SupportsCreateFile):
            await driver_class.create_file(options)
            return
        assert issubclass(driver_class, SupportsCreate)
        async with contextlib.AsyncExitStack() as stack:
            children: dict[Node, str] = {}
            for name in (spec.name for spec in driver_class.child_specs):
                if name in options:
                    backend = await stack.enter_async_context(self._use(options[name]))
                    other = children.setdefault(backend.node, name)
                    if other != name:
                        node_name = backend.node.node_name
                        raise NodeInUse(f"Node '{node_name}' cannot be both '{other}' and '{name}'")
                    options[name] = backend.root
            file = options.pop("file", None)
            await driver_class.create(file, options, self._secrets)

    @contextlib.asynccontextmanager
    async def _use(self, wanted: str | dict[str, Any]) -> AsyncIterator[BlockBackend]:
        """Be a user of a node, which is opened for the time unless it is there already."""
        backend = BlockBackend(self._graph)
        async with self._graph.lock:
            if isinstance(wanted, str):
                node = self._graph.find(wanted)
            else:
                node = await self._opener.open_unowned(wanted)
            try:
                await backend.insert(node, _HELD)
            except BaseException:
                # Only a node that nobody else has is closed.
                await self._graph.discard(node)
                raise
        try:
            yield backend
            await backend.flush()
        finally:
            async with self._graph.lock:
                await backend.remove()
