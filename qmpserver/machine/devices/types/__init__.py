"""The types of devices, as facts of QEMU 11.1: names, parents, buses, properties and what these are at first.

One file for each family; :mod:`table` has them all together.  :mod:`groups` are properties that several have,
:mod:`pci_identities` what those on PCI tell of themselves.
"""
