"""Give up privileges once everything is open: become another user, and see only one folder."""

import os
import pwd
import re
from dataclasses import dataclass

from qmpserver.cli.serving.option_error import OptionError
from qmpserver.errors import QMPError, error_text

_NUMBERS = re.compile(r"([0-9]+):([0-9]+)\Z")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom to become.

    Attributes:
        uid: The user's number.
        gid: The number of the user's group.
        name: The user's name, whose other groups are joined, or None.
    """

    uid: int
    gid: int
    name: str | None = None


def find_identity(text: str) -> Identity:
    """Return the user of a name, or of ``UID:GID``.

    Raises:
        QMPError: There is none.
    """
    numbers = _NUMBERS.match(text)
    if numbers is not None:
        return Identity(int(numbers[1]), int(numbers[2]))
    try:
        found = pwd.getpwnam(text)
    except (KeyError, ValueError) as error:
        raise QMPError(f'User "{text}" doesn\'t exist (and is not <uid>:<gid>)') from error
    return Identity(found.pw_uid, found.pw_gid, found.pw_name)


def give_up(identity: Identity | None, folder: str | None) -> None:
    """See only a folder, and become another user, as far as that is asked for.

    Raises:
        OptionError: It is not permitted.
    """
    if folder is not None:
        try:
            os.chroot(folder)
            os.chdir("/")
        except OSError as error:
            raise OptionError(f"chroot to '{folder}' failed: {error_text(error)}") from error
    if identity is not None:
        try:
            os.setgid(identity.gid)
            if identity.name is not None:
                os.initgroups(identity.name, identity.gid)
            else:
                os.setgroups([identity.gid])
            os.setuid(identity.uid)
        except OSError as error:
            raise OptionError(
                f"Failed to become {identity.uid}:{identity.gid}: {error_text(error)}"
            ) from error
