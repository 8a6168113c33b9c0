"""Scripts of any length over jobs of every kind: verbs go by the table, jobs by theirs, and no byte is lost.

QMPSERVER_JOB_SCRIPTS=5000 plays as many scripts, other ones each time.
"""

import asyncio
import contextlib
import errno
import operator
import os
import random
from collections.abc import Coroutine
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from qmpserver import tasks
from qmpserver.block.backend import BlockBackend
from qmpserver.block.node import Node
from qmpserver.clock import ManualClock
from qmpserver.driver_api.permissions import Permission, PermissionSet
from qmpserver.errors import QMPError
from qmpserver.events import Event
from qmpserver.jobs.backup import BackupJob
from qmpserver.jobs.job import Job
from qmpserver.jobs.manager import JobManager
from qmpserver.jobs.mirror import MirrorJob
from qmpserver.jobs.states import TRANSITIONS, VERBS, JobStatus, JobVerb
from qmpserver.server import Server
from qmpserver.units import NS_PER_MS, KiB
from tests.unit.block.memory_drivers import FILES, MemoryFormat
from tests.unit.block.troubled_drivers import TROUBLE, SlowFile
from tests.unit.jobs.mirror_bench import CLUSTER, DRIVERS, SIZE, Guest, content

CAMPAIGN = int(os.environ.get("QMPSERVER_JOB_SCRIPTS", "0"))
CHAIN, TARGETS = ("c0", "c1", "c2"), ("t0", "t1")
REAL = {
    "copy-before-write": "qmpserver.drivers.copy_before_write:CopyBeforeWriteDriver",
    "copy-on-read": "qmpserver.drivers.copy_on_read:CopyOnReadDriver",
}
_READS = Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED
DEVICE = PermissionSet(Permission.CONSISTENT_READ | Permission.WRITE, _READS)
"""What a device holds of its disk: nobody else may write it."""

errors = st.sampled_from(("report", "stop", "ignore", "enospc"))
held = st.fixed_dictionaries(
    {
        "auto-finalize": st.booleans(),
        "auto-dismiss": st.booleans(),
        "speed": st.sampled_from((0, 0, 1, 64 * KiB)),
    }
)
policies = st.fixed_dictionaries({"on-source-error": errors, "on-target-error": errors})
held_both = st.builds(operator.or_, held, policies)
jobs = st.sampled_from(("a", "b", "c"))
copy_modes = st.sampled_from(("background", "write-blocking"))
modes = st.sampled_from(("individual", "grouped"))
below = st.sampled_from(CHAIN)
targets = st.sampled_from(TARGETS)
syncs = st.sampled_from(("full", "full", "top", "none"))
verbs = st.sampled_from(JobVerb)
LEADS_ON = {
    JobStatus.PAUSED: JobVerb.RESUME,
    JobStatus.STANDBY: JobVerb.RESUME,
    JobStatus.READY: JobVerb.COMPLETE,
    JobStatus.PENDING: JobVerb.FINALIZE,
    JobStatus.CONCLUDED: JobVerb.DISMISS,
}


def shown(node: Node) -> bytes:
    """Return all that a node in memory shows, without asking anybody for a turn."""
    driver: Any = node.driver
    if node.filtered is not None:
        return shown(node.filtered)
    under = shown(node.backing) if node.backing is not None else b""
    data = bytearray(under[: driver.size].ljust(driver.size, b"\0"))
    for index, host in driver.table.items():
        stored = bytes(CLUSTER) if host is None else driver._file.node.driver.data[host : host + CLUSTER]
        data[index * CLUSTER : (index + 1) * CLUSTER] = stored.ljust(CLUSTER, b"\0")
    return bytes(data[: driver.size])


class TroubledGuest(Guest):
    """A guest whose disk fails now and then."""

    async def _act(self) -> None:
        dice, index = self._dice, self._dice.randrange(SIZE // CLUSTER)
        start = index * CLUSTER + dice.choice((0, dice.randrange(CLUSTER - 1)))
        end = dice.randrange(start + 1, (index + 1) * CLUSTER + 1)
        async with self._locks[index]:
            try:
                await self._act_on(start, end)
            except OSError as error:
                if error.errno not in {errno.EIO, errno.ENOSPC}:
                    raise

    async def _act_on(self, start: int, end: int) -> None:
        length = end - start
        match self._dice.randrange(8):
            case 0 | 1 | 2:
                found = bytearray(length)
                await self.backend.pread(start, memoryview(found))
                assert found == self.model[start:end], (start, end)
            case 3:
                await self.backend.pwrite_zeroes(start, length)
                self.model[start:end] = bytes(length)
            case 4:
                await self.backend.pdiscard(start, length)
                self.model[start:end] = shown(self.backend.node)[start:end]
            case _:
                data = self._dice.randbytes(length)
                await self.backend.pwrite(start, memoryview(data))
                self.model[start:end] = data


class JobScripts(RuleBasedStateMachine):
    """A guest on a chain of three images, two targets, and three names for jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[Any] = []
        self.patches = contextlib.ExitStack()
        self.patches.enter_context(patch("qmpserver.engine.DRIVERS", DRIVERS | REAL))
        self.patches.enter_context(patch.object(JobManager, "report_internal_error", self._on_internal_error))
        FILES.clear()
        MemoryFormat.images.clear()
        TROUBLE.calm()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.server = Server(clock=self.clock)
        self.daemon = self.server.daemon
        self.daemon.events.subscribe(self._on_event)
        self.backend = BlockBackend(self.daemon.graph, "guest")
        self.under_way: set[asyncio.Future[Any]] = set()
        self.guests: set[asyncio.Future[None]] = set()
        self.states: dict[str, JobStatus] = {}
        self.pasts: dict[str, bytes] = {}

    def play(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry on until `work` is done."""
        self.loop.run_until_complete(work)
        assert not self.wrong, self.wrong

    # The world

    @initialize(
        seed=st.integers(0, 1 << 32),
        sizes=st.lists(st.sampled_from((SIZE, SIZE // 2)), min_size=2, max_size=2),
    )
    def begin(self, seed: int, sizes: list[int]) -> None:
        """Make the images, and put the guest on the topmost."""
        SlowFile.random = self.dice = random.Random(seed)
        self.play(self._begin([*sizes, SIZE]))

    async def _begin(self, sizes: list[int]) -> None:
        for name, size in (*zip(CHAIN, sizes, strict=True), *((name, SIZE) for name in TARGETS)):
            FILES[f"f-{name}"] = bytearray()
            lower = f"c{int(name[1]) - 1}"
            options = {"backing": lower} if name in CHAIN[1:] else {}
            file = {"driver": "file", "node-name": f"f-{name}", "filename": f"f-{name}"}
            await self.server.blockdev_add(
                {
                    "driver": "raw",
                    "node-name": name,
                    "size": size,
                    "discard": "unmap",
                    "file": file,
                    **options,
                }
            )
            node = self.daemon.graph.find(name)
            if name in CHAIN:
                await self._fill(node)
        top = self.daemon.graph.find(CHAIN[-1])
        await self.backend.insert(top, DEVICE)
        self.guest = TroubledGuest(self.backend, self.dice, await content(top))

    async def _fill(self, node: Node) -> None:
        for index in range(node.size // CLUSTER):
            if self.dice.random() < 0.3:
                await node.pwrite(index * CLUSTER, memoryview(self.dice.randbytes(CLUSTER)))

    # Jobs of every kind

    @rule(name=jobs, options=held, device=below, on_error=errors, bottom=st.none() | below)
    def stream(
        self, name: str, options: dict[str, Any], device: str, on_error: str, bottom: str | None
    ) -> None:
        more = {} if bottom is None else {"bottom": bottom}
        self._ask("block-stream", {"job-id": name, "device": device, "on-error": on_error, **options, **more})

    @rule(name=jobs, options=held, top=st.none() | below, base=below, on_error=errors)
    def commit(self, name: str, options: dict[str, Any], top: str | None, base: str, on_error: str) -> None:
        device = self.backend.node.node_name
        more = {} if top is None else {"top-node": top}
        arguments = {"job-id": name, "device": device, "base-node": base, "on-error": on_error}
        self._ask("block-commit", {**arguments, **options, **more})

    @rule(name=jobs, options=held_both, to=targets | below, copy_mode=copy_modes)
    def mirror(self, name: str, options: dict[str, Any], to: str, copy_mode: str) -> None:
        node = self.backend.node.node_name
        arguments = {"job-id": name, "device": node, "target": to, "sync": "full", "copy-mode": copy_mode}
        self._ask("blockdev-mirror", {**arguments, "granularity": CLUSTER, **options})

    @rule(name=jobs, options=held_both, source=below, to=targets | below, sync=syncs)
    def backup(self, name: str, options: dict[str, Any], source: str, to: str, sync: str) -> None:
        self._ask("blockdev-backup", {"job-id": name, **options, **self._backup(source, to, sync)})

    def _backup(self, source: str, target: str, sync: str) -> dict[str, Any]:
        # The topmost of the images may have been replaced by now, and what is in use is more fun.
        device = self.backend.node.node_name if source == CHAIN[-1] else source
        return {"device": device, "target": target, "sync": sync}

    @rule(
        options=st.tuples(held_both, held_both),
        kinds=st.tuples(syncs, syncs),
        mode=modes,
        fails=st.booleans(),
    )
    def transaction(self, options: tuple[Any, Any], kinds: tuple[str, str], mode: str, fails: bool) -> None:
        backups = [
            {"job-id": "a", **options[0], **self._backup(CHAIN[-1], "t0", kinds[0])},
            {"job-id": "b", **options[1], **self._backup(CHAIN[0], "t1", kinds[1])},
        ]
        actions = [{"type": "blockdev-backup", "data": data} for data in backups]
        actions += [{"type": "abort", "data": {}}] if fails else []
        self._ask("transaction", {"actions": actions, "properties": {"completion-mode": mode}})

    # Verbs

    @rule(verb=verbs, name=jobs)
    def verb(self, verb: JobVerb, name: str) -> None:
        match verb:
            case JobVerb.SET_SPEED:
                arguments = {"device": name, "speed": self.dice.choice((0, 1, 64 * KiB))}
                self._ask("block-job-set-speed", arguments, verb)
            case JobVerb.CHANGE:
                arguments = {"id": name, "type": "mirror", "copy-mode": "write-blocking"}
                self._ask("block-job-change", arguments, verb)
            case _:
                self._ask(f"job-{verb.value}", {"id": name}, verb)

    @rule(name=jobs, force=st.booleans())
    def cancel(self, name: str, force: bool) -> None:
        self._ask("block-job-cancel", {"device": name, "force": force}, JobVerb.CANCEL)

    @rule(name=jobs)
    def go_on(self, name: str) -> None:
        """Ask a job for whatever brings it on."""
        job = self.daemon.jobs.get(name)
        verb = LEADS_ON.get(job.status) if job is not None else None
        if verb is not None:
            self._ask(f"job-{verb.value}", {"id": name}, verb)
        self.pass_time(40)

    def _ask(self, command: str, arguments: dict[str, Any], verb: JobVerb | None = None) -> None:
        self.play(self._asked(command, arguments, verb))

    async def _asked(self, command: str, arguments: dict[str, Any], verb: JobVerb | None) -> None:
        expected = self._refusal(command, arguments, verb) if verb is not None else None
        bound = self.server.commands.get(command)
        assert bound is not None
        try:
            result = bound.run(self.server._embedder, bound.check(arguments))
            if asyncio.iscoroutine(result):
                tasks.step(result)
            refusal = None
        except tasks.Pending as pending:
            refusal = None
            self._keep(self.under_way, pending.rest)
        except QMPError as error:
            refusal = error.description
        if verb is not None and refusal != expected:
            self.wrong.append((command, arguments, "told", refusal, "expected", expected))

    def _refusal(self, command: str, arguments: dict[str, Any], verb: JobVerb) -> str | None:
        """Say what the tables say that a verb is answered, or None where they accept it."""
        name = arguments.get("id") or arguments["device"]
        job = self.daemon.jobs.get(name)
        if job is None:
            return "Job not found" if command.startswith("job-") else f"Block job '{name}' not found"
        if verb is JobVerb.RESUME and not job.is_user_paused:
            return "Can't resume a job that was not paused"
        if job.status not in VERBS[verb] or (job.is_awaiting_end and job.transaction.is_ending):
            return f"Job '{name}' in state '{job.status.value}' cannot accept command verb '{verb.value}'"
        return self._own_refusal(job, command, arguments)

    def _own_refusal(self, job: Job, command: str, arguments: dict[str, Any]) -> str | None:
        match command:
            case "job-pause" if job.is_user_paused:
                return "Job is already paused"
            case "block-job-change" if job.job_type != "mirror":
                return "Job type does not support change"
            case "block-job-cancel" if job.is_user_paused and not arguments["force"]:
                return f"The block job for device '{job.job_id}' is currently paused"
        return None

    # What goes on beside

    def _keep(self, where: set[asyncio.Future[Any]], work: Coroutine[Any, Any, Any]) -> None:
        task = self.loop.create_task(self._watched(work))
        where.add(task)
        task.add_done_callback(where.discard)

    async def _watched(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except QMPError:
            pass
        except BaseException as error:
            self.wrong.append(error)
            raise

    @rule(times=st.integers(1, 12))
    def use(self, times: int) -> None:
        """Let the guest read and write."""
        if len(self.guests) < 3:
            self._keep(self.guests, self.guest.use(times))

    @rule(turns=st.sampled_from((1, 3, 10, 40)))
    def pass_time(self, turns: int) -> None:
        """Let some turns of the loop pass, and some of the clock."""
        self.play(self._pass_time(turns))

    async def _pass_time(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        self.clock.advance(turns * 20 * NS_PER_MS)

    @rule(name=below | targets, kind=st.sampled_from((errno.ENOSPC, errno.EIO, None)))
    def spoil(self, name: str, kind: int | None) -> None:
        """Have a file fail: writes with an error, or reads of a cluster."""
        file: Any = self.daemon.graph.find(f"f-{name}").driver
        if kind is None:
            file.fail_reads_at = {self.dice.randrange(1, 8) * CLUSTER}
        else:
            file.fail_writes = kind

    @rule()
    def mend(self) -> None:
        """Let every file work."""
        for name in (*CHAIN, *TARGETS):
            file: Any = self.daemon.graph.find(f"f-{name}").driver
            file.fail_reads_at, file.fail_writes = set(), None

    # What must be so

    def _on_internal_error(self, job: Job, error: Exception) -> None:
        self.wrong.append((job.job_id, error))

    def _on_event(self, event: Event) -> None:
        data = event.data or {}
        job = self.daemon.jobs.get(str(data.get("id") or data.get("device")))
        if event.name == "JOB_STATUS_CHANGE":
            self._check_transition(data["id"], JobStatus(data["status"]))
            if isinstance(job, BackupJob) and data["status"] == "created" and not self.guests:
                self.pasts[job.job_id] = shown(job.plan.source)
            if isinstance(job, MirrorJob) and data["status"] == "waiting":
                # The source is held still from here to the end.
                self._compare(job, shown(job.plan.source), shown(job.plan.target))
        elif event.name == "BLOCK_JOB_COMPLETED" and isinstance(job, BackupJob):
            past = self.pasts.pop(job.job_id, None)
            if "error" not in data and past is not None and job.plan.sync.value == "full":
                self._compare(job, past, shown(job.plan.target))

    def _check_transition(self, name: str, new: JobStatus) -> None:
        old = self.states.pop(name, JobStatus.UNDEFINED)
        if new not in TRANSITIONS[old]:
            self.wrong.append((name, old, new))
        if new is JobStatus.NULL:
            self.pasts.pop(name, None)
        else:
            self.states[name] = new

    def _compare(self, job: Job, expected: bytes, found: bytes) -> None:
        if expected != found:
            places = [
                at
                for at in range(0, SIZE, CLUSTER)
                if expected[at : at + CLUSTER] != found[at : at + CLUSTER]
            ]
            self.wrong.append((job.job_id, job.job_type, "is wrong at", places))

    def teardown(self) -> None:
        """Call everything off, and see that nothing is lost and nothing left."""
        try:
            if self.backend.root is not None:
                self.mend()
                self.play(self._end())
        finally:
            self.loop.close()
            self.patches.close()

    async def _call_off(self) -> None:
        """Cancel jobs until there are none, nor commands or guests under way that may start some."""
        for _ in range(20):
            ending = self.loop.create_task(self.daemon.jobs.cancel_all())
            for _ in range(400):
                await self._pass_time(5)
                if ending.done():
                    break
            await asyncio.wait_for(ending, 0)
            if not (list(self.daemon.jobs) or self.guests or self.under_way):
                return
        raise AssertionError([(job.job_id, job.status) for job in self.daemon.jobs])

    async def _end(self) -> None:
        await self._call_off()
        assert await content(self.backend.node) == self.guest.model
        assert not self.states
        for node in self.daemon.graph:
            assert not node.driver.is_filter, node
            assert not node.busy_reasons, node
            assert not len(node.requests), node
            assert not any(edge.is_frozen for edge in node.children.values()), node
            assert not node.dirty_bitmaps, node
            assert not node.read_only, node
        assert not self.daemon.graph.lock.locked()
        await self.backend.remove()
        await self.server.close()


TestJobScripts = JobScripts.TestCase
TestJobScripts.settings = (
    settings(max_examples=CAMPAIGN, stateful_step_count=60, derandomize=False, deadline=None)
    if CAMPAIGN
    else settings(max_examples=25, stateful_step_count=40, deadline=None)
)
