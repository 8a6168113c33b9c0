"""Make an image that was not closed cleanly fit for use.

Source: qcow2 specification, "Header" (the dirty bit).
"""

import errno
import os

from qmpserver.driver_api.extras import CheckMode
from qmpserver.drivers.qcow2.check import check_image
from qmpserver.drivers.qcow2.image import Image


async def repair_dirty(image: Image) -> None:
    """Make the stored counts those that the tables call for, and the COPIED flags agree with them.

    Nothing of the image may be cached yet.

    Raises:
        OSError: A table cannot be read or written, or a count cannot be checked.
    """
    result = await check_image(image, CheckMode.ALL)
    if result.check_errors:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
