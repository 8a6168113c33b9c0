"""The `host_device` and `host_cdrom` protocols: block and character devices of the host.  Linux only.

- :mod:`driver`: :class:`HostDeviceDriver`, a `file` whose size is fixed and which takes ioctls.
- :mod:`cdrom`: :class:`HostCdromDriver`, whose disc comes and goes.
- :mod:`device_calls`: zeroes and discards by the calls that devices have.
- :mod:`device_limits`: what the kernel says requests to a device must look like.
- :mod:`making`: a device taken for a new image.

Zoned devices are opened as any other, but their zones are not offered.
"""
