"""A machine runs, stops, restarts and ends as QEMU 11.1 does, and 7.2 where that agrees."""

from pathlib import Path

import pytest

from tests.differential.duel import Step, step
from tests.differential.machine_session import Session, check_recording, compare

RECORDING = Path(__file__).parent / "recorded_run_state.json"

STATUS = step("query-status")
RESET = step("system_reset", "RESET")


def action(**said: str) -> Step:
    return step("set-action", **said)


SESSIONS = {
    "stopped before it ran": Session(steps=[STATUS, step("stop"), STATUS, step("cont", "RESUME"), STATUS]),
    "stopped and resumed": Session(
        steps=[
            step("cont", "RESUME"),
            step("cont"),
            step("stop", "STOP"),
            STATUS,
            step("stop"),
            STATUS,
            step("cont", "RESUME"),
            STATUS,
        ]
    ),
    "reset": Session(
        steps=[RESET, STATUS, step("cont", "RESUME"), RESET, STATUS, step("stop", "STOP"), RESET, STATUS]
    ),
    "a reboot that shuts down, and a shutdown that stops": Session(
        steps=[
            action(reboot="shutdown", shutdown="pause"),
            step("system_reset", "SHUTDOWN"),
            STATUS,
            step("cont", "RESUME"),
            step("system_reset", "STOP"),
            STATUS,
            step("cont"),
            step("stop"),
            STATUS,
            action(reboot="reset"),
            RESET,
            STATUS,
            step("cont", "RESUME"),
        ]
    ),
    "power and sleep": Session(
        steps=[
            step("system_powerdown", "POWERDOWN"),
            step("system_wakeup"),
            step("query-current-machine"),
            step("cont", "RESUME"),
            step("system_powerdown", "POWERDOWN"),
            step("system_wakeup"),
        ]
    ),
    "a board that cannot sleep": Session(
        board="microvm", steps=[step("system_wakeup"), step("query-current-machine"), STATUS]
    ),
    "actions": Session(
        steps=[
            action(),
            action(panic="none", watchdog="inject-nmi"),
            action(reboot="maybe"),
            step("watchdog-set-action", action="pause"),
            step("watchdog-set-action", action="x"),
            step("inject-nmi"),
            step("rtc-reset-reinjection"),
        ]
    ),
    "a shutdown by the client": Session(steps=[action(shutdown="pause"), step("quit", "SHUTDOWN")]),
    "what the machine is": Session(
        alike_in_7_2=False,
        steps=[
            step("query-name"),
            step("query-uuid"),
            step("query-target"),
            step("query-hotpluggable-cpus"),
            step("query-memory-size-summary"),
            step("query-memory-devices"),
            step("query-memdev"),
            step("query-balloon"),
            step("balloon", value=1 << 20),
            step("query-vnc"),
            step("query-vnc-servers"),
            step("query-tpm"),
            step("query-mice"),
            step("query-audiodevs"),
            step("query-acpi-ospm-status"),
            step("query-vm-generation-id"),
            step("query-dump"),
            step("query-replay"),
            step("query-rx-filter"),
            step("query-rx-filter", name="x"),
            step("query-stats", target="vm"),
            step("query-command-line-options", option="no-such-option"),
            step("query-command-line-options", option="memory"),
        ],
    ),
    "a board with few things": Session(
        board="microvm",
        alike_in_7_2=False,
        steps=[
            step("query-hotpluggable-cpus"),
            step("query-memdev"),
            step("query-acpi-ospm-status"),
            step("query-mice"),
        ],
    ),
    "a board without ACPI": Session(
        board="isapc", steps=[step("query-acpi-ospm-status"), step("query-current-machine")]
    ),
    "a balloon": Session(
        alike_in_7_2=False,
        devices=["virtio-balloon-pci,id=b"],
        steps=[
            step("query-balloon"),
            step("balloon", value=1 << 20),
            step("balloon", value=0),
            step("balloon", value=-1),
        ],
    ),
    "memory as objects": Session(
        steps=[
            step("object-add", qom_type="memory-backend-ram", id="a", size=0),
            step("object-add", qom_type="memory-backend-ram", id="a", size=8192, policy="bind"),
            Step(
                "object-add",
                {"qom-type": "memory-backend-ram", "id": "a", "size": 8192, "host-nodes": [0]},
            ),
            Step(
                "object-add",
                {"qom-type": "memory-backend-file", "id": "a", "size": 8192, "mem-path": "no/such/file"},
            ),
            step("object-add", qom_type="memory-backend-ram", id="a", size=8192),
            step("query-memdev"),
            step("qom-get", path="/objects/a", property="size"),
            step("qom-set", path="/objects/a", property="size", value=4096),
            step("qom-set", path="/objects/a", property="dump", value=False),
            step("qom-get", path="/objects/a", property="dump"),
            step("object-del", id="a"),
            step("object-add", qom_type="rng-random", id="r", filename="/no/such/file"),
            step("object-add", qom_type="rng-random", id="r"),
            step("qom-get", path="/objects/r", property="filename"),
            step("object-add", qom_type="rng-builtin", id="b"),
            step("object-del", id="b"),
        ]
    ),
}


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder without images."""
    return tmp_path_factory.mktemp("nothing")


@pytest.mark.parametrize("name", SESSIONS)
def test_a_machine_answers_as_qemu(name: str, nothing: Path, tmp_path: Path) -> None:
    compare(RECORDING, name, SESSIONS[name], nothing, tmp_path)


@pytest.mark.parametrize("name", SESSIONS)
def test_the_recording_is_qemus(name: str, nothing: Path, tmp_path: Path) -> None:
    check_recording(RECORDING, name, SESSIONS[name], nothing, tmp_path)
