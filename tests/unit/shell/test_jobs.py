import asyncio
from typing import Any

from qmpserver.shell.client import CommandFailed
from qmpserver.shell.jobs import JobProgress, Jobs


def job(status: str, done: int, total: int) -> dict[str, Any]:
    return {"id": "j", "type": "mirror", "status": status, "current-progress": done, "total-progress": total}


def test_jobs_are_known_until_they_end() -> None:
    answers: list[Any] = [[job("running", 1, 4)], [job("running", 1, 4)], [job("concluded", 4, 4)]]
    changes: list[int] = []

    async def execute(command: str) -> Any:
        return answers.pop(0)

    async def run() -> None:
        jobs = Jobs(execute, lambda: changes.append(1))
        await jobs.look()
        assert jobs.under_way == [JobProgress("j", "mirror", "running", 1, 4)]
        await jobs.look()
        assert len(changes) == 1
        await jobs.look()
        assert jobs.under_way == []
        assert len(changes) == 2

    asyncio.run(run())


def test_a_job_that_had_nothing_to_do_has_done_it_all() -> None:
    shares = {
        status: JobProgress("j", "mirror", status, 0, 0).share for status in ("running", "ready", "pending")
    }
    assert shares == {"running": 0.0, "ready": 1.0, "pending": 1.0}
    assert JobProgress("j", "mirror", "running", 5, 4).share == 1.0


def test_an_event_makes_the_jobs_be_looked_at() -> None:
    looked: asyncio.Queue[None] = asyncio.Queue()

    async def execute(command: str) -> Any:
        looked.put_nowait(None)
        raise CommandFailed

    async def run() -> None:
        jobs = Jobs(execute, lambda: None)
        following = asyncio.create_task(jobs.follow())
        await looked.get()  # once at the start
        jobs.take_event({"event": "STOP"})
        jobs.take_event({"event": "JOB_STATUS_CHANGE"})
        await looked.get()
        jobs.stir()
        await looked.get()
        following.cancel()
        assert looked.empty()

    asyncio.run(run())


def test_the_share_that_is_done_is_between_nothing_and_all() -> None:
    rows = [(0, 0, 0.0), (1, 4, 0.25), (4, 4, 1.0), (5, 4, 1.0)]
    assert [JobProgress("j", "t", "s", done, total).share for done, total, _ in rows] == [
        row[2] for row in rows
    ]
