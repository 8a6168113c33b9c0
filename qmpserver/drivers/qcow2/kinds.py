"""Name the kinds of structures that an image holds, as reports of corruption do."""

from typing import Final

HEADER: Final = "qcow2_header"
L1: Final = "active L1 table"
L2: Final = "active L2 table"
REFTABLE: Final = "refcount table"
REFBLOCK: Final = "refcount block"
SNAPSHOTS: Final = "snapshot table"
INACTIVE_L1: Final = "inactive L1 table"
INACTIVE_L2: Final = "inactive L2 table"
BITMAPS: Final = "bitmap directory"
