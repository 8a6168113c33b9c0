"""QEMU's block layer and QMP control plane, without the guest.

The map of the house, floor by floor, is in ARCHITECTURE.md.  Programs that embed the server
start at :mod:`qmpserver.server`; nothing inside the package imports this root.
"""
