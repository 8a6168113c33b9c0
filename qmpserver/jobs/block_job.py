"""A job on nodes: what it reserves, how it answers errors, and the events clients know it by."""

import errno
from collections.abc import Iterable
from typing import Any

from qmpserver.block.graph import NO_ROLE, Graph
from qmpserver.block.node import Edge, Node
from qmpserver.driver_api.permissions import PermissionSet
from qmpserver.errors import QMPError
from qmpserver.jobs.error_policy import ErrorAction, OnError, action_for
from qmpserver.jobs.job import Job, JobOwner
from qmpserver.jobs.speed import SpeedLimit
from qmpserver.jobs.states import JobVerb


class BlockJob(Job):
    """A job that works on nodes of the graph.

    Args:
        manager: Holds the job.
        graph: The graph its nodes are in.
        job_id: Its name.
        on_error: What to do when its I/O fails.
        options: `auto_finalize`, `auto_dismiss`, `transaction` of :class:`Job`.

    Attributes:
        speed_bps: Bytes per second it keeps to; 0 for no limit.
        io_status: `ok`, `failed` or `nospace`, as of the last error that stopped it.
    """

    def __init__(
        self, manager: JobOwner, graph: Graph, job_id: str, *, on_error: OnError, **options: Any
    ) -> None:
        super().__init__(manager, job_id, **options)
        self.graph = graph
        self.on_error = on_error
        self.speed_bps = 0
        self.io_status = "ok"
        self.limit = SpeedLimit()
        self.edges: list[Edge] = []
        self._busy_nodes: list[Node] = []

    @property
    def name(self) -> str:
        """The job's id, as the name of a user of nodes."""
        return self.job_id

    def describe(self) -> str:
        """Name the job as a user of nodes, in a refusal."""
        return f"{self.job_type} job '{self.job_id}'"

    # Nodes

    @property
    def busy_reason(self) -> str:
        """Why operations on its nodes are refused."""
        return f"block device is in use by block job: {self.job_type}"

    async def reserve(self, name: str, node: Node, held: PermissionSet) -> None:
        """Become a user of `node`, and have operations on it refused until the job is dismissed.

        Raises:
            NodeInUse: Another user does not agree; nothing has changed.
        """
        edge = self.graph.attach(self, name, node, NO_ROLE, held)
        try:
            await self.graph.refresh(node)
        except BaseException:
            self.graph.detach(edge)
            raise
        self.edges.append(edge)
        node.busy_reasons.append(self.busy_reason)
        self._busy_nodes.append(node)

    async def dismissed(self) -> None:
        """Let go of all nodes, before anybody who hears of the end can ask for them."""
        async with self.graph.lock:
            await super().dismissed()
            await self.let_go()

    async def let_go(self) -> None:
        """Stop using all nodes, and close those that nobody else uses.  The graph is locked."""
        for node in self._busy_nodes:
            node.busy_reasons.remove(self.busy_reason)
        self._busy_nodes.clear()
        nodes = [edge.node for edge in self.edges]
        self.release_nodes(nodes)
        await self.graph.collect(*nodes)

    def release_nodes(self, nodes: Iterable[Node]) -> None:
        """Stop using some of the nodes while the job lives on."""
        for node in nodes:
            for edge in [edge for edge in self.edges if edge.node is node]:
                self.graph.detach(edge)
                self.edges.remove(edge)

    # Speed

    def set_speed(self, speed_bps: int) -> None:
        """Change the speed in bytes per second, 0 for no limit; a rest ends at once.

        Raises:
            QMPError: The speed is negative, or the job's state does not allow it.
        """
        self.check_verb(JobVerb.SET_SPEED)
        if speed_bps < 0:
            raise QMPError("Parameter 'speed' expects a non-negative value")
        self.limit.set_speed(speed_bps)
        self.speed_bps = speed_bps
        self.wake_from_rest()

    async def keep_to_speed(self, length: int) -> None:
        """Rest until more may be moved, after `length` bytes; a new speed counts for what was moved before it too.

        Raises:
            JobCancelled: The job was cancelled.
        """
        clock = self.manager.clock
        rest_ns = self.limit.account(length, clock.monotonic_ns())
        while rest_ns and not self.is_failing:
            await self.sleep(rest_ns)
            rest_ns = self.limit.account(0, clock.monotonic_ns())

    # Errors

    @property
    def is_failing(self) -> bool:
        """Whether an error waits to be dealt with, so that there is no time to rest."""
        return False

    def handle_error(self, error: OSError, operation: str, policy: OnError | None = None) -> ErrorAction:
        """Decide what an I/O error means, tell clients, and pause the job if it is to stop.

        Args:
            error: What happened.
            operation: `read` or `write`.
            policy: What to do; None for the job's own policy.
        """
        action = action_for(policy or self.on_error, error)
        self.manager.emit(
            "BLOCK_JOB_ERROR", {"device": self.job_id, "operation": operation, "action": action.value}
        )
        if action is ErrorAction.STOP:
            if not self.is_user_paused:
                self.is_user_paused = True
                self.pause()
            if self.io_status == "ok":
                self.io_status = "nospace" if error.errno == errno.ENOSPC else "failed"
        return action

    def on_user_resume(self) -> None:
        """Forget the error that stopped the job."""
        self.io_status = "ok"

    # Events

    def _event_data(self) -> dict[str, Any]:
        return {
            "type": self.job_type,
            "device": self.job_id,
            "len": self.progress_total,
            "offset": self.progress_current,
            "speed": self.speed_bps,
        }

    def emit_finished(self) -> None:
        """Tell clients BLOCK_JOB_COMPLETED, with the error if there is one, or BLOCK_JOB_CANCELLED."""
        data = self._event_data()
        if self.is_cancelled:
            self.manager.emit("BLOCK_JOB_CANCELLED", data)
            return
        if self.error is not None:
            data["error"] = self.error
        self.manager.emit("BLOCK_JOB_COMPLETED", data)

    def emit_ready(self) -> None:
        """Tell clients BLOCK_JOB_READY."""
        self.manager.emit("BLOCK_JOB_READY", self._event_data())

    def emit_pending(self) -> None:
        """Tell clients BLOCK_JOB_PENDING."""
        self.manager.emit("BLOCK_JOB_PENDING", {"type": self.job_type, "id": self.job_id})

    def to_wire(self) -> dict[str, Any]:
        """Shape the job as ``BlockJobInfo``."""
        info: dict[str, Any] = {
            "type": self.job_type,
            "device": self.job_id,
            "len": self.progress_total,
            "offset": self.progress_current,
            "busy": not self.is_at_rest,
            "paused": self.is_paused,
            "speed": self.speed_bps,
            "io-status": self.io_status,
            "ready": self.is_ready,
            "status": self.status.value,
            "auto-finalize": self.auto_finalize,
            "auto-dismiss": self.auto_dismiss,
        }
        if self.error is not None:
            info["error"] = self.error
        return info
