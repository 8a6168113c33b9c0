"""The devices of a machine: what types there are, which are plugged where, and what is known of each.

- :mod:`properties`: what a property may be, and how it is read.
- :mod:`device_type`, :mod:`types`: the types, as facts.
- :mod:`device`, :mod:`bus`: a device that is there, and what devices are plugged into.
- :mod:`placement`: where on a bus a device goes, for each type of bus.
- :mod:`realising`: what a device checks and works out when it is plugged.
- :mod:`board`: what a board carries by itself.
- :mod:`tree`: all devices of a machine; adding and removing.
- :mod:`options`, :mod:`help`: what a command line says of a device, and is told.

A device has no registers and does nothing by itself; its drive, if it has one, is in `machine.media`.
"""
