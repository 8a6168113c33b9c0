"""Let a test turn a machine's clock, by the words of QEMU's qtest protocol.

`protocol` answers lines; `server` carries them.  There are no registers and no memory to reach, so of the rest
of the protocol only what says nothing of those is answered.
"""
