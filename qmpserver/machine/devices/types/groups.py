"""Properties that many types have, as words."""

BLOCK = (
    "drive:drive logical_block_size:blocksize=0 physical_block_size:blocksize=0 min_io_size:size=0 "
    "opt_io_size:size=0 discard_granularity:size=4294967295 write-cache:auto=auto share-rw:bool=off "
    "account-invalid:auto=auto account-failed:auto=auto stats-intervals:list= "
    "backend_defaults:auto=auto"
)
"""What any device with a drive has."""

ERRORS = "rerror:on-error=auto werror:on-error=auto"
"""What becomes of errors of the drive."""

CHS = "cyls:uint32=0 heads:uint32=0 secs:uint32=0"
"""The geometry of a disk."""

LCHS = "lcyls:uint32=0 lheads:uint32=0 lsecs:uint32=0"
"""The geometry that a disk's firmware shows."""

BOOT = "bootindex:int32"
"""When it is booted from."""

NIC = "mac:mac netdev:netdev bootindex:int32"
"""What any network card has."""

MODERN = "disable-legacy:auto=auto disable-modern:bool=off"
"""Which versions of virtio are spoken."""

EDID = "edid:bool=on xres:uint32=0 yres:uint32=0 xmax:uint32=0 ymax:uint32=0 refresh_rate:uint32=0"
"""The screen that is shown."""
