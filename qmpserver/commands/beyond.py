"""Do what QEMU's clients ask for and QEMU does not have."""

import asyncio
from collections.abc import Callable
from typing import Any

from qmpserver.daemon import Daemon
from qmpserver.errors import DeviceNotFound, ParameterError, QMPError
from qmpserver.events import Event
from qmpserver.jobs.history import JobRecord
from qmpserver.jobs.job import Job
from qmpserver.monitor.commands import Client
from qmpserver.units import NS_PER_MS


def x_client_features(
    daemon: Daemon,
    *,
    client: Client,
    event_sequence: bool | None = None,
    error_details: bool | None = None,
    request_keys: bool | None = None,
) -> dict[str, Any]:
    """Switch on or off what this client wants; what is not named stays."""
    features = client.features
    if event_sequence is not None:
        features.event_sequence = event_sequence
    if error_details is not None:
        features.error_details = error_details
    if request_keys is not None:
        features.request_keys = request_keys
    return {
        "event-sequence": features.event_sequence,
        "error-details": features.error_details,
        "request-keys": features.request_keys,
        "last-sequence": daemon.journal.last_sequence,
    }


def x_replay_events(daemon: Daemon, *, since: int) -> dict[str, Any]:
    """Tell again what happened after the event of that number."""
    last = daemon.journal.last_sequence
    if not 0 <= since <= last:
        raise ParameterError(f"Parameter 'since' expects the number of an event, 0 to {last}")
    events = daemon.journal.since(since)
    replay: dict[str, Any] = {
        "events": [event.to_wire(with_sequence=True) for event in events],
        "last-sequence": last,
    }
    first = events[0].sequence if events else last + 1
    if first > since + 1:
        replay["gap"] = {"first": since + 1, "last": first - 1}
    return replay


def x_query_job_history(daemon: Daemon, *, id: str | None = None) -> list[dict[str, Any]]:  # noqa: A002 - the wire's name
    """Say how jobs ended, those that ended first first."""
    return [_record_info(record) for record in daemon.jobs.history if id is None or record.job_id == id]


async def x_wait(
    daemon: Daemon,
    *,
    job: str | None = None,
    status: list[str] | None = None,
    event: str | None = None,
    match: Any = None,
    since: int | None = None,
    timeout: int | None = None,  # noqa: ASYNC109 - the wire's name
) -> dict[str, Any]:
    """Wait for a job to come to a state, or for an event."""
    if (job is None) == (event is None):
        raise ParameterError("Exactly one of 'job' and 'event' must be given")
    if timeout is not None and timeout < 0:
        raise ParameterError("Parameter 'timeout' expects a non-negative value")
    if job is not None:
        if match is not None or since is not None:
            raise ParameterError("'match' and 'since' go with 'event' only")
        return await _wait_for_job(daemon, job, status or ["concluded"], timeout)
    if status is not None:
        raise ParameterError("'status' goes with 'job' only")
    if match is not None and not isinstance(match, dict):
        raise ParameterError("Invalid parameter type for 'match', expected: object")
    assert event is not None
    if event not in daemon.schema.events:
        raise ParameterError(f"Parameter 'event' does not accept value '{event}'")
    return await _wait_for_event(daemon, event, match or {}, since, timeout)


async def _wait_for_job(
    daemon: Daemon, job_id: str, wanted: list[str], timeout_ms: int | None
) -> dict[str, Any]:
    job = daemon.jobs.get(job_id)
    if job is None:
        record = daemon.jobs.history.find(job_id)
        if record is None:
            raise DeviceNotFound(f"Job '{job_id}' is not known", job=job_id)
        return {"status": "null", "job": _record_info(record)}
    if job.status.value not in wanted:
        ends = {*wanted, "null"}

        def is_it(happened: Event) -> bool:
            data = happened.data or {}
            return happened.name == "JOB_STATUS_CHANGE" and data["id"] == job_id and data["status"] in ends

        happened = await _next_event(daemon, is_it, timeout_ms, f"job '{job_id}'")
        assert happened.data is not None
        return _job_state(daemon, job, happened.data["status"])
    return _job_state(daemon, job, job.status.value)


def _job_state(daemon: Daemon, job: Job, status: str) -> dict[str, Any]:
    """Tell where a job stands, and how it ended if it has."""
    state: dict[str, Any] = {"status": status}
    if job.ended.is_set() or status in ("concluded", "null"):
        record = daemon.jobs.history.find(job.job_id)
        if record is not None:
            state["job"] = _record_info(record)
    return state


async def _wait_for_event(
    daemon: Daemon, name: str, match: dict[str, Any], since: int | None, timeout_ms: int | None
) -> dict[str, Any]:
    def is_it(event: Event) -> bool:
        data = event.data or {}
        return event.name == name and all(data.get(key) == value for key, value in match.items())

    past = daemon.journal.since(since) if since is not None else []
    event = next(filter(is_it, past), None)
    if event is None:
        event = await _next_event(daemon, is_it, timeout_ms, f"event '{name}'")
    return {"event": event.to_wire(with_sequence=True)}


async def _next_event(
    daemon: Daemon, is_it: Callable[[Event], bool], timeout_ms: int | None, what: str
) -> Event:
    """Return the next event of which `is_it` is true.

    Raises:
        QMPError: None came in time.
    """
    found: asyncio.Future[Event | None] = asyncio.get_running_loop().create_future()

    def settle(event: Event | None) -> None:
        if not found.done():
            found.set_result(event)

    unsubscribe = daemon.events.subscribe(lambda event: settle(event) if is_it(event) else None)
    timer = None
    if timeout_ms is not None:
        timer = daemon.clock.call_later(timeout_ms * NS_PER_MS, lambda: settle(None))
    try:
        event = await found
    finally:
        unsubscribe()
        if timer is not None:
            timer.cancel()
    if event is None:
        raise QMPError(f"Waited {timeout_ms} ms for {what} in vain", code="timeout")
    return event


def _record_info(record: JobRecord) -> dict[str, Any]:
    info: dict[str, Any] = {
        "id": record.job_id,
        "type": record.job_type,
        "outcome": record.outcome.value,
        "created": _timestamp(record.created_us),
        "ended": _timestamp(record.ended_us),
        "current-progress": record.progress_current,
        "total-progress": record.progress_total,
    }
    if record.error is not None:
        info["error"] = record.error
    return info


def _timestamp(realtime_us: int) -> dict[str, int]:
    seconds, microseconds = divmod(realtime_us, 1_000_000)
    return {"seconds": seconds, "microseconds": microseconds}
