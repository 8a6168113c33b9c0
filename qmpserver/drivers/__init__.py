"""Formats, protocols and filters: one room each, side by side on :mod:`qmpserver.driver_api`.

- ``file/``: the `file` protocol, a regular file of the host; ``host_device/``: `host_device` and `host_cdrom`, built on it.
- ``nbd/``: the `nbd` protocol, an export of another server.
- :mod:`null`: the `null-co` and `null-aio` protocols.
- :mod:`raw`: the `raw` format.
- ``qcow2/``: the `qcow2` format.
- :mod:`luks`: the `luks` format, and ``encryption/``: what it shares with qcow2.
- :mod:`filter`: what filters share; :mod:`compress`, :mod:`preallocate`, :mod:`throttle`: filters called so.
- :mod:`copy_on_read`: the `copy-on-read` filter.
- :mod:`copy_before_write`: the `copy-before-write` filter; :mod:`snapshot_access`: what it keeps, as an image.
- ``blkdebug/``, :mod:`blkverify`, :mod:`blklogwrites`: filters for tests; ``quorum/``: several images that vote.
- :mod:`mirror_top`, :mod:`commit_top`: the filters that jobs put in.
- :mod:`sizes`: what they check of sizes among their options.

The rooms know neither the engine nor one another; a registry above finds them by name.
"""
