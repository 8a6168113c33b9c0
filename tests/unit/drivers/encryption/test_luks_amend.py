"""Passphrases come and go with QEMU's rules, and no power cut loses the last one."""

import asyncio
import random
from typing import Any

import pytest

from qmpserver.driver_api.child import BlockChild
from qmpserver.drivers.encryption import luks_amend
from qmpserver.drivers.encryption.luks_amend import KeyslotChange, amend_slots
from qmpserver.drivers.encryption.luks_options import LuksOptions
from qmpserver.drivers.encryption.luks_volume import HeaderArea, LuksVolume, NewVolume
from qmpserver.errors import QMPError
from tests.contract.engine import MemoryFile
from tests.contract.power import after_power_cut

SECRETS = {"s": b"pass", "t": b"other", "u": b"third"}
BASE = {"key-secret": "s", "cipher-alg": "aes-128", "iter-time": 0}


@pytest.fixture(autouse=True)
def few_erasures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luks_amend, "_ERASURES", 2)


def missing(secret_id: str) -> bytes:
    if secret_id not in SECRETS:
        raise QMPError(f"No secret with id '{secret_id}'")
    return SECRETS[secret_id]


async def make() -> tuple[MemoryFile, bytes]:
    file = MemoryFile()
    made = await NewVolume.make(LuksOptions.parse(BASE, missing))
    await made.store(HeaderArea(file))
    return file, made.key


async def amend(file: BlockChild, *, force: bool = False, **options: Any) -> LuksVolume:
    volume = await LuksVolume.open(HeaderArea(file), None)
    named = {name.replace("_", "-"): value for name, value in options.items()}
    await amend_slots(volume, KeyslotChange.parse(named, "s", missing), force=force)
    return volume


async def openers(file: BlockChild) -> set[str]:
    """Return the secrets that open the volume."""
    found = set()
    for secret_id, password in SECRETS.items():
        try:
            await LuksVolume.open(HeaderArea(file), password)
        except QMPError:
            continue
        found.add(secret_id)
    return found


ADD: dict[str, Any] = {"state": "active", "new_secret": "t", "iter_time": 0}
_NAMED = "To erase keyslot(s), either explicit keyslot index or the password currently contained in them must be given"
_LAST = "which will erase all the data in the image irreversibly - refusing operation"


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ([ADD], {"s", "t"}),
        ([ADD | {"keyslot": 5}], {"s", "t"}),
        ([ADD, {"state": "inactive", "keyslot": 0}], {"t"}),
        ([ADD, ADD, {"state": "inactive", "old_secret": "t"}], {"s"}),
        ([ADD, {"state": "inactive", "old_secret": "s", "keyslot": 0}], {"t"}),
        ([ADD | {"keyslot": 0, "force": True}], {"t"}),
        ([ADD, ADD | {"new_secret": "u", "keyslot": 1, "force": True}], {"s", "u"}),
        ([ADD, {"state": "inactive", "keyslot": 0}, ADD | {"new_secret": "u", "secret": "t"}], {"t", "u"}),
        ([{"state": "inactive", "keyslot": 0, "force": True}], set()),
        ([{"state": "inactive", "old_secret": "s", "force": True}], set()),
    ],
)
def test_passphrases_come_and_go(steps: list[dict[str, Any]], left: set[str]) -> None:
    async def run() -> None:
        file, key = await make()
        for step in steps:
            volume = await amend(file, **step)
            assert (await LuksVolume.open(HeaderArea(file), None)).header == volume.header
        assert await openers(file) == left
        for secret_id in left:
            assert (await LuksVolume.open(HeaderArea(file), SECRETS[secret_id])).key == key

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"state": "active"}, "'new-secret' is required to activate a keyslot"),
        (ADD | {"old_secret": "s"}, "'old-secret' must not be given when activating keyslots"),
        (ADD | {"keyslot": 8}, "Invalid keyslot 8 specified, must be between 0 and 7"),
        (ADD | {"keyslot": -1}, "Invalid keyslot -1 specified, must be between 0 and 7"),
        (ADD | {"keyslot": 0}, "Refusing to overwrite active keyslot 0 - please erase it first"),
        (ADD | {"new_secret": "zz"}, "No secret with id 'zz'"),
        (ADD | {"secret": "t"}, "Invalid password, cannot unlock any keyslot"),
        (
            {"state": "inactive"},
            _NAMED,
        ),
        ({"state": "inactive", "keyslot": 5}, "Given keyslot 5 is already erased (inactive) "),
        ({"state": "inactive", "keyslot": 9}, "Invalid keyslot 9 specified, must be between 0 and 7"),
        (
            {"state": "inactive", "old_secret": "u"},
            "No keyslots match given (old) password for erase operation",
        ),
        (
            {"state": "inactive", "old_secret": "t", "keyslot": 0},
            "Given keyslot 0 doesn't contain the given old password for erase operation",
        ),
        (
            {"state": "inactive", "new_secret": "t", "keyslot": 0},
            "'new-secret' must not be given when erasing keyslots",
        ),
        (
            {"state": "inactive", "iter_time": 0, "keyslot": 0},
            "'iter-time' must not be given when erasing keyslots",
        ),
        ({"state": "inactive", "keyslot": 0}, f"Attempt to erase the only active keyslot 0 {_LAST}"),
        (
            {"state": "inactive", "old_secret": "s"},
            f"All the active keyslots match the (old) password that was given and erasing them {_LAST[6:]}",
        ),
    ],
)
def test_what_must_not_be_is_refused_and_changes_nothing(options: dict[str, Any], text: str) -> None:
    async def run() -> None:
        file, _ = await make()
        before = bytes(file.data)
        with pytest.raises(QMPError) as caught:
            await amend(file, **options)
        assert caught.value.description == text
        assert file.data == before

    asyncio.run(run())


def test_a_full_header_takes_no_more() -> None:
    async def run() -> None:
        file, _ = await make()
        for _ in range(7):
            await amend(file, **ADD)
        with pytest.raises(QMPError, match="Can't add a keyslot - all keyslots are in use"):
            await amend(file, **ADD)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("before", "step", "always"),
    [
        ([], ADD, {"s"}),
        ([ADD], ADD | {"keyslot": 6}, {"s", "t"}),
        ([ADD | {"keyslot": 6}], {"state": "inactive", "keyslot": 6}, {"s"}),
        ([ADD], {"state": "inactive", "old_secret": "s"}, {"t"}),
        ([], ADD | {"keyslot": 0, "force": True}, set()),
        ([ADD | {"keyslot": 6}], ADD | {"new_secret": "u", "keyslot": 6, "force": True}, {"s"}),
    ],
)
def test_some_passphrase_opens_the_volume_whenever_the_power_fails(
    before: list[dict[str, Any]], step: dict[str, Any], always: set[str]
) -> None:
    async def run() -> None:
        rng = random.Random(str(step))
        file, key = await make()
        for earlier in before:
            await amend(file, **earlier)
        start = bytes(file.data)
        file.log.clear()
        await amend(file, **step)
        for _ in range(5):
            left = MemoryFile(after_power_cut(start, file.log, rng.randrange(len(file.log) + 1), rng))
            opening = await openers(left)
            assert opening
            assert opening >= always
            assert (await LuksVolume.open(HeaderArea(left), SECRETS[min(opening)])).key == key

    asyncio.run(run())
