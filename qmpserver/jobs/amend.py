"""Change options of an image: the job of ``x-blockdev-amend``."""

from typing import Any, ClassVar

from qmpserver.block.draining import run_drained
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.extras import SupportsAmend, SupportsAmendPermissions
from qmpserver.driver_api.secrets import SecretSource
from qmpserver.errors import QMPError
from qmpserver.jobs.job import JobOwner
from qmpserver.jobs.one_step import OneStepJob


class AmendJob(OneStepJob):
    """Changes one image.

    Args:
        manager: Holds the job.
        job_id: Its name.
        node: The image.
        driver_class: The driver that the client takes it for.
        options: Its ``BlockdevAmendOptions`` members, without `driver`.
        graph: Where the node is.
        secrets: Where the secrets are that options name.
        force: Also make changes after which the image may be lost.

    Raises:
        QMPError: The driver is another, or cannot change images.
    """

    job_type: ClassVar[str] = "amend"

    def __init__(
        self,
        manager: JobOwner,
        job_id: str,
        node: Node,
        driver_class: type[BlockDriver],
        options: dict[str, Any],
        *,
        graph: Graph,
        secrets: SecretSource,
        force: bool,
    ) -> None:
        super().__init__(manager, job_id)
        if type(node.driver) is not driver_class:
            raise QMPError("x-blockdev-amend doesn't support changing the block driver")
        if not isinstance(node.driver, SupportsAmend):
            raise QMPError("Driver does not support x-blockdev-amend")
        self._node = node
        self._options = options
        self._graph = graph
        self._secrets = secrets
        self._force = force

    async def step(self) -> None:
        """Change the image, which nobody uses meanwhile."""
        async with self._graph.lock:
            driver = self._node.driver
            if not isinstance(driver, SupportsAmendPermissions):
                await run_drained((self._node,), self._amend)
                return
            driver.begin_amend()
            try:
                await self._graph.refresh(self._node)
                await run_drained((self._node,), self._amend)
            finally:
                driver.end_amend()
                await self._graph.loosen(self._node)

    async def _amend(self) -> None:
        assert isinstance(self._node.driver, SupportsAmend)
        if self._options:
            await self._node.driver.amend(self._options, self._secrets, force=self._force)
