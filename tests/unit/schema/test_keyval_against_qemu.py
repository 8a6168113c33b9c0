"""Option arguments, bad and good, as real QEMU judges them and as we do."""

import subprocess
from typing import Any

import pytest

from qmpserver.errors import ParameterError
from qmpserver.schema.model import Schema
from tests.peers import need

OPTION_TYPES = {"--blockdev": "BlockdevOptions", "--object": "ObjectOptions"}

NULL = "driver=null-co,node-name=a"
RAW = "driver=raw,node-name=a"
QCOW2 = "driver=qcow2,node-name=a,file=x"
IOTHREAD = "qom-type=iothread,id=a"

ROWS: list[tuple[str, str, str | None]] = [
    ("--blockdev", NULL, None),
    ("--blockdev", f"{NULL},size=0x10", None),
    ("--blockdev", f"{NULL},size=010", None),
    ("--blockdev", f"{NULL},size=+5", None),
    *(
        ("--blockdev", f"{NULL},size={wrong}", "Parameter 'size' expects integer")
        for wrong in ("1k", "", "1x", "1.5", "08", "0x", "9223372036854775808")
    ),
    ("--blockdev", f"{NULL},latency-ns=1k", "Parameter 'latency-ns' expects integer"),
    ("--blockdev", f"{NULL},latency-ns=18446744073709551616", "Parameter 'latency-ns' expects integer"),
    *(("--blockdev", f"{NULL},read-zeroes={right}", None) for right in ("on", "yes", "true", "y")),
    *(("--blockdev", f"{NULL},read-zeroes={right}", None) for right in ("off", "no", "false", "n")),
    *(
        ("--blockdev", f"{NULL},read-zeroes={wrong}", "Parameter 'read-zeroes' expects 'on' or 'off'")
        for wrong in ("1", "0", "ON", "", "onn")
    ),
    ("--blockdev", f"{NULL},x=1", "Parameter 'x' is unexpected"),
    ("--blockdev", f"{NULL},cache.direct=x", "Parameter 'cache.direct' expects 'on' or 'off'"),
    ("--blockdev", f"{NULL},cache=x", "Invalid parameter type for 'cache', expected: object"),
    ("--blockdev", f"{NULL},cache.x=y", "Parameter 'cache.x' is unexpected"),
    ("--blockdev", f"{NULL},discard=x", "Parameter 'discard' does not accept value 'x'"),
    ("--blockdev", f"{NULL},size.x=1", "Parameters 'size.*' are unexpected"),
    ("--blockdev", f"{NULL},read-zeroes.x=1", "Parameters 'read-zeroes.*' are unexpected"),
    ("--blockdev", f"{NULL},discard.x=1", "Parameters 'discard.*' are unexpected"),
    ("--blockdev", "driver=null-co,node-name.x=a", "Parameters 'node-name.*' are unexpected"),
    ("--blockdev", "driver.x=1", "Parameters 'driver.*' are unexpected"),
    ("--blockdev", "node-name=a", "Parameter 'driver' is missing"),
    ("--blockdev", "driver=no", "Parameter 'driver' does not accept value 'no'"),
    ("--blockdev", RAW, "Parameter 'file' is missing"),
    ("--blockdev", f"{RAW},file.driver=null-co,file.size=x", "Parameter 'file.size' expects integer"),
    ("--blockdev", f"{RAW},file.driver=null-co,file.size=1", None),
    ("--blockdev", f"{RAW},file.driver=null-co,file.x=y", "Parameter 'file.x' is unexpected"),
    ("--blockdev", f"{RAW},file.filename=x", "Parameter 'file.driver' is missing"),
    ("--blockdev", f"{QCOW2},overlap-check=x", "Parameter 'overlap-check' does not accept value 'x'"),
    ("--blockdev", f"{QCOW2},overlap-check.template=x", "Parameter 'template' does not accept value 'x'"),
    (
        "--blockdev",
        f"{QCOW2},overlap-check.main-header=x",
        "Parameter 'overlap-check.main-header' expects 'on' or 'off'",
    ),
    ("--blockdev", f"{QCOW2},encrypt=1", "Invalid parameter type for 'encrypt', expected: object"),
    ("--object", IOTHREAD, None),
    ("--object", f"{IOTHREAD},poll-max-ns=1k", "Parameter 'poll-max-ns' expects integer"),
    ("--object", f"{IOTHREAD},x=1", "Parameter 'x' is unexpected"),
    ("--object", "qom-type=iothread", "Parameter 'id' is missing"),
    ("--object", "qom-type=x,id=a", "Parameter 'qom-type' does not accept value 'x'"),
    ("--object", "qom-type=secret,id=a,data=x,format=y", "Parameter 'format' does not accept value 'y'"),
]


def tree_of(argument: str) -> dict[str, Any]:
    """Split the plain rows above; the real syntax is the command line's affair."""
    tree: dict[str, Any] = {}
    for word in argument.split(","):
        key, _, value = word.partition("=")
        *outer, last = key.split(".")
        place = tree
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = value
    return tree


@pytest.mark.parametrize(("option", "argument", "text"), ROWS)
def test_we_say_what_qemu_says(schema: Schema, option: str, argument: str, text: str | None) -> None:
    try:
        schema.type(OPTION_TYPES[option]).from_keyval(tree_of(argument))
        said = None
    except ParameterError as error:
        said = error.description
    assert said == text


@pytest.mark.parametrize(("option", "argument", "text"), ROWS)
def test_qemu_says_what_is_written_here(option: str, argument: str, text: str | None) -> None:
    storage_daemon = need("qemu-storage-daemon")
    run = subprocess.run(
        [storage_daemon, option, argument, "--pidfile", "/nonexistent/pid"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = run.stderr.strip()
    if text is None:
        assert "Parameter '" not in said
    else:
        assert said.endswith(f": {text}")
