"""The side of a device that uses a node: QEMU's BlockBackend as a device has it.

A *drive* is what a device reads and writes; its *medium* is the node in it, if any.  In the order of their floors:

- :mod:`drive_user`: what a drive asks of its device.
- :mod:`error_policy`, :mod:`latency_histogram`, :mod:`timed_average`, :mod:`statistics`: what becomes of an error, and
  what is counted; no I/O, and the time comes in as an argument.
- :mod:`throttle_limits`: what limits are called; :mod:`throttle_groups`: those that drives share.
- :mod:`surroundings`, :mod:`openness`: what a drive finds around it, and how its medium was opened.
- :mod:`requests`: the way of a request from the device to the medium; :mod:`scsi_command`: SCSI commands on it.
- :mod:`legacy_options`, :mod:`placement`: what ``-drive`` and ``drive_add`` say, and where that is plugged in.
- :mod:`drive`: the drive itself.
- :mod:`image_file`, :mod:`temporary_overlay`, :mod:`legacy_medium`: how media are opened that are only named.
- :mod:`store`: all drives, and how devices come by theirs.
- :mod:`tray`: what is done to removable media.
- :mod:`drive_info`, :mod:`drive_stats`: what queries show.
"""
