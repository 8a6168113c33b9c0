"""The engine: a graph of nodes, and the requests that run through it.

The engine owns the bytes and never names a format; it meets drivers through ``driver_api/`` only.

- :mod:`node`: one opened image, protocol or filter, the edges from its users, and the requests it takes.
- :mod:`view`: what the parts below may know of a node.
- :mod:`requests`: which requests are in flight, and which must wait for which.
- :mod:`reading`, :mod:`writing`, :mod:`copy_on_read`: how a request is carried out from a driver's answers.
- :mod:`copy_range`: what the host can copy from file to file by itself.
- :mod:`zeroes`: telling zeroes from data.
- :mod:`chain`: walking backing chains, and what is allocated in which layer.
- :mod:`copy`: the copy engine under every job: several chunks in flight, bounded memory.
- :mod:`permissions`: what each user of a node needs and allows, checked over the whole graph.
- :mod:`graph`: all nodes by name, and how edges come and go.
- :mod:`opener`: from ``blockdev-add`` options to nodes; :mod:`opening`: a node in the making.
- :mod:`reopening`: changing an open node between read-only and read-write.
- :mod:`resizing`: changing a node's size.
- :mod:`internal_snapshots`: snapshots that images keep inside themselves.
- :mod:`filenames`: image names, ``json:`` names, and names relative to an overlay.
- :mod:`backend`: a user's own handle on a root node.
- :mod:`info`: what queries show of a node.

Used by jobs, exports, devices and the daemon; uses the ground and ``driver_api/``.
"""
