"""The `file` protocol: an image's bytes in a regular file of the host.

- :mod:`driver`: :class:`FileDriver`, what the engine sees; requests, size, status.
- :mod:`access`: which descriptor serves, as permissions and reopening change what it must allow.
- :mod:`handle`: one open descriptor, with its locks, that closes when its last request has ended.
- :mod:`kinds`: what a driver that is built on this one opens instead of regular files.
- :mod:`options`: the options, and what is refused of them.
- :mod:`locks`: the byte-range locks that QEMU's tools take and honour; :mod:`holders`: who holds one.
- :mod:`io`: reads and writes that complete in full, direct ones through aligned memory.
- :mod:`copying`: what is copied from file to file, by the kernel or in pieces.
- :mod:`in_place`: those that the page cache serves at once; :mod:`stalls`: whether it really does.
- :mod:`residency`: what the page cache has, for who sends it as it lies there.
- :mod:`creation`: files made for images; :mod:`resizing`: their length, with or without room for it.
- :mod:`space`: zeroes, holes and early writeback, by the calls that only Linux has.
- :mod:`runs`: what is known of holes and data.
- :mod:`writeback`: when a stream of writes is worth an early start of the disk.
"""
