"""Progress is shown all the time, or when a signal asks for it."""

import os
import signal
from collections.abc import Iterator

import pytest

from qmpserver.cli.img.progress import Progress


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_a_percentage_is_printed_when_it_has_grown(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress(is_wanted=True)
    for done in (0, 1, 1, 50_000, 50_001, 100_000):
        progress.show(done, 100_000)
    progress.end()
    shown = ["0.00", "50.00", "100.00", "100.00"]
    assert capfd.readouterr().out == "".join(f"    ({share}/100%)\r" for share in shown) + "\n"


def test_without_it_nothing_is_printed_until_a_signal_asks(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress(is_wanted=False)
    progress.show(1, 4)
    assert capfd.readouterr() == ("", "")
    os.kill(os.getpid(), signal.SIGUSR1)
    progress.show(3, 4)
    os.kill(os.getpid(), signal.SIGUSR1)
    progress.end()
    assert capfd.readouterr() == ("", "    (25.00/100%)\n    (75.00/100%)\n")
