"""Encrypted images are opened, refused, described and given passphrases as QEMU does it."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qmpserver.drivers.luks import LuksDriver
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from tests.contract.engine import MemoryFile
from tests.differential.duel import Step, duel, step
from tests.images import qemu_img

SIZE = 1 << 20
SECRETS = {"s": b"pass", "t": b"other"}
LUKS = {"key-secret": "s", "iter-time": 0, "cipher-alg": "aes-128"}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")

    async def make() -> None:
        encrypted: dict[str, dict[str, Any]] = {
            "luks.qcow2": {"encrypt": {"format": "luks", **LUKS}},
            "aes.qcow2": {"encrypt": {"format": "qcow", "key-secret": "s"}},
            "plain.qcow2": {},
        }
        for name, options in encrypted.items():
            file = MemoryFile()
            await Qcow2Driver.create(file, {"size": SIZE, **options}, SECRETS.__getitem__)
            (folder / name).write_bytes(file.data)
        file = MemoryFile()
        await LuksDriver.create(file, {"size": SIZE, **LUKS}, SECRETS.__getitem__)
        (folder / "volume.luks").write_bytes(file.data)

    asyncio.run(make())
    return folder


def secret(secret_id: str, **options: Any) -> Step:
    return step("object-add", qom_type="secret", id=secret_id, **options)


def added(driver: str, filename: str, **options: Any) -> Step:
    file = {"driver": "file", "filename": filename}
    return step("blockdev-add", driver=driver, node_name="n", file=file, **options)


def amended(driver: str, **options: Any) -> list[Step]:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    if driver == "qcow2":
        named = {"encrypt": {"format": "luks", **named}}
    wanted = {"driver": driver, **named}
    return [
        step("x-blockdev-amend", "STATUS=concluded", job_id="j", node_name="n", options=wanted),
        step("query-jobs"),
        step("job-dismiss", id="j"),
    ]


def changes(driver: str) -> list[Step]:
    """Take passphrases away, or try to."""
    return [
        *amended(driver, state="active"),
        *amended(driver, state="active", new_secret="t", keyslot=0),
        *amended(driver, state="active", new_secret="t", keyslot=8),
        *amended(driver, state="active", new_secret="none"),
        *amended(driver, state="active", new_secret="t", old_secret="s"),
        *amended(driver, state="inactive"),
        *amended(driver, state="inactive", keyslot=0),
        *amended(driver, state="inactive", keyslot=3),
        *amended(driver, state="inactive", keyslot=-1),
        *amended(driver, state="inactive", old_secret="s"),
        *amended(driver, state="inactive", old_secret="t"),
        *amended(driver, state="inactive", old_secret="t", keyslot=0),
        *amended(driver, state="inactive", new_secret="t", keyslot=0),
        *amended(driver, state="inactive", keyslot=0, iter_time=1),
    ]


KEY = {"format": "luks", "key-secret": "s"}
STEPS: list[Step] = [
    secret("s", data="pass"),
    secret("t", data="b3RoZXI=", format="base64"),
    secret("bad", data="!", format="base64"),
    secret("nul", data="AAAA", format="base64"),
    secret("none", keyid="nobody", data="x"),
    secret("none", keyid="s", data="x"),
    added("qcow2", "luks.qcow2"),
    added("qcow2", "luks.qcow2", encrypt={"format": "luks"}),
    added("qcow2", "luks.qcow2", encrypt={"format": "luks", "key-secret": "none"}),
    added("qcow2", "luks.qcow2", encrypt={"format": "luks", "key-secret": "t"}),
    added("qcow2", "luks.qcow2", encrypt={"format": "luks", "key-secret": "nul"}),
    added("qcow2", "luks.qcow2", encrypt={"format": "aes", "key-secret": "s"}),
    added("qcow2", "aes.qcow2", encrypt=KEY),
    added("qcow2", "aes.qcow2"),
    added("qcow2", "plain.qcow2", encrypt=KEY),
    added("luks", "volume.luks"),
    added("luks", "volume.luks", key_secret="t"),
    added("luks", "plain.qcow2", key_secret="s"),
    added("qcow2", "luks.qcow2", encrypt=KEY),
    step("query-named-block-nodes"),
    *changes("qcow2"),
    step("blockdev-del", node_name="n"),
    added("luks", "volume.luks", key_secret="s"),
    step("query-named-block-nodes"),
    *changes("luks"),
    step("blockdev-del", node_name="n"),
    added("qcow2", "aes.qcow2", encrypt={"format": "aes", "key-secret": "s"}),
    step("query-named-block-nodes"),
    *amended("qcow2", state="inactive", keyslot=0),
]


def told_by_both(value: Any) -> Any:
    """Leave out what a host's file system decides, and what an older QEMU does not tell."""
    match value:
        case dict():
            skipped = {"actual-size", "detached-header", "active", "children", "limits"}
            if "key-offset" in value:
                skipped -= {"active"}
            if value.get("format") == "file":
                skipped.add("format-specific")
            return {key: told_by_both(item) for key, item in value.items() if key not in skipped}
        case list():
            return [told_by_both(item) for item in value]
        case _:
            return value


def test_encrypted_images_are_treated_alike(tmp_path: Path, images: Path) -> None:
    duel(tmp_path, images, STEPS).assert_alike(told_by_both)


@pytest.mark.parametrize("name", ["luks.qcow2", "aes.qcow2", "volume.luks"])
def test_an_image_is_described_without_its_key_but_not_checked(images: Path, name: str) -> None:
    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "qmpserver", "img", *words, str(images / name)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    described = run("info", "--output=json")
    assert described.returncode == 0, described.stderr
    ours, theirs = json.loads(described.stdout), json.loads(qemu_img("info", "--output=json", images / name))
    assert ours["encrypted"] is theirs["encrypted"] is True
    assert told_by_both(ours["format-specific"]) == told_by_both(theirs["format-specific"])
    refused = run("map")
    assert refused.returncode == 1
    assert "key-secret' is required for cipher" in refused.stderr
