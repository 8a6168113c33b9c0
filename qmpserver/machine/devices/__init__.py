"""The devices of a machine: what types there are, which are plugged where, and what is known of each.

- :mod:`properties`: what a property may be, and how it is read.
- :mod:`device_type`, :mod:`types`: the types, as facts.
- :mod:`device`: a device that is there, and the buses that devices are plugged into; :mod:`buses` makes these and
  :mod:`search` finds them.
- :mod:`placement`: where on a bus a device goes, for each type of bus: :mod:`pci_slots`, :mod:`scsi_addresses`,
  :mod:`usb_ports`, :mod:`units`.
- :mod:`making`, :mod:`references`: a device of what is said of it, and what that names.
- :mod:`realising`, :mod:`completing`: what is checked and worked out when a device is plugged in;
  :mod:`passing_on`: what a device of the host has to be that SCSI commands are passed on to; :mod:`usb_disk`: the disk
  inside a USB disk.
- :mod:`objects`, :mod:`board_object`: the paths of devices below ``/machine``, and the machine itself as an object.
- :mod:`tree`: all devices of a machine; adding and removing, with :mod:`admission` and :mod:`unplugging`.
- :mod:`board`: what a board carries by itself.
- :mod:`board_drives`, :mod:`flash`: the devices of drives of which only the bus is said, and of firmware.
- :mod:`help`, :mod:`pci_info`: what clients are told of types, and of what is on PCI.

A device has no registers and does nothing by itself; its drive, if it has one, is in `machine.media`.
"""
