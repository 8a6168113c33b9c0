"""Change which passphrases open an image.

Source: qcow2 specification, "Full disk encryption header pointer"; the ``BlockdevAmendOptionsQcow2`` members.
"""

from typing import Any

from qmpserver.driver_api.secrets import SecretSource
from qmpserver.drivers.encryption.luks_amend import KeyslotChange, amend_slots
from qmpserver.drivers.qcow2.image import Image
from qmpserver.errors import QMPError


def parse_keyslots(image: Image, options: dict[str, Any], secrets: SecretSource) -> KeyslotChange:
    """Read the ``QCryptoBlockAmendOptions`` members for an image.

    Raises:
        QMPError: The image has no passphrases, or the options do not go together.
    """
    encryption = image.encryption
    if encryption is None:
        raise QMPError("image is not encrypted, can't amend")
    if options["format"] != "luks":
        raise QMPError("Amend can't be used to change the qcow2 encryption format")
    if encryption.volume is None:
        raise QMPError("Only LUKS encryption options can be amended for qcow2 with blockdev-amend")
    return KeyslotChange.parse(options, encryption.key_secret, secrets)


async def amend_keyslots(image: Image, change: KeyslotChange, *, force: bool) -> None:
    """Add or erase passphrases; see :func:`luks_amend.amend_slots`."""
    image.check_sound()
    assert image.encryption is not None
    assert image.encryption.volume is not None
    await amend_slots(image.encryption.volume, change, force=force)
