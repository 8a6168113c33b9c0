"""How jobs ended, remembered."""

from qmpserver.jobs.history import JobHistory, JobOutcome, JobRecord


def record(job_id: str, ended_us: int) -> JobRecord:
    return JobRecord(job_id, "stream", JobOutcome.COMPLETED, None, 0, ended_us, 0, 0)


def test_the_last_job_of_a_name_is_found() -> None:
    history = JobHistory()
    history.add(record("a", 1))
    history.add(record("a", 2))
    assert history.find("a") == record("a", 2)
    assert history.find("b") is None
    assert list(history) == [record("a", 1), record("a", 2)]


def test_only_the_latest_are_remembered() -> None:
    history = JobHistory(kept=2)
    for ended_us, job_id in enumerate("aba"):
        history.add(record(job_id, ended_us))
    assert list(history) == [record("b", 1), record("a", 2)]
    history.add(record("c", 3))
    assert history.find("b") is None
    assert history.find("a") == record("a", 2)
