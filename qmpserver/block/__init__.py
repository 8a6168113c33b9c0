"""The engine: a graph of nodes, and the requests that run through it.

The engine owns the bytes and never names a format; it meets drivers through ``driver_api/`` only.

- :mod:`node`: one opened image, protocol or filter, the edges from its users, and the requests it takes.
- :mod:`view`: what the parts below may know of a node.
- :mod:`requests`: which requests are in flight, and which must wait for which.
- :mod:`reading`, :mod:`writing`, :mod:`copy_on_read`: how a request is carried out from a driver's answers;
  :mod:`at_once`: one that needs neither waiting nor room; :mod:`gathering`: writes that arrive together.
- :mod:`gate`: requests counted, and held back while a node is drained.
- :mod:`head_guard`: what keeps a guessed raw image from becoming another format's.
- :mod:`copy_range`: what the host can copy from file to file by itself.
- :mod:`zeroes`: telling zeroes from data; :mod:`zero_rest`: units that are zero but for what is to become so.
- :mod:`chain`: walking backing chains, and what is allocated in which layer; :mod:`extents`: the same, run after run.
- :mod:`copy`: the copy engine under every job: several chunks in flight, bounded memory.
- :mod:`range_copy`: making ranges of one node equal to another's; :mod:`zero_map`: what is zero there already.
- :mod:`block_copy`: copying a node each cluster once, in the background or because it is about to change;
  :mod:`copy_before_write`: keeping a node's content as it was, and reading it back.
- :mod:`permissions`: what each user of a node needs and allows, checked over the whole graph.
- :mod:`graph`: all nodes by name, and how edges come and go; :mod:`device_names`: devices whose names stand for nodes.
- :mod:`opener`: from ``blockdev-add`` options to nodes; :mod:`opening`: a node in the making.
- :mod:`draining`: work on nodes that are held still; :mod:`hurrying`: a bound to what the end of one may wait for.
- :mod:`reopening`: giving open nodes other options and children, all or none; :mod:`reopen_queue` lists the nodes,
  :mod:`reopen_options` works out their options, :mod:`reopen_children` leads their links; :mod:`inheritance`.
- :mod:`activation`: leaving images to another process, and taking them up again.
- :mod:`external_snapshot`: putting overlays over nodes; :mod:`backing_name`: what an image names as its backing file.
- :mod:`child_change`: children that come and go; :mod:`write_threshold`: telling of a write beyond an offset.
- :mod:`resizing`: changing a node's size; :mod:`host_medium`: the drive of the host that its bytes come from.
- :mod:`dirty_bitmap`: which parts of a node were written, in :mod:`bits`; found by :mod:`bitmap_lookup`, refused by
  :mod:`bitmap_checks`, changed by :mod:`bitmap_actions`, brought from and to images by :mod:`bitmap_store`.
- :mod:`internal_snapshots`: snapshots that images keep inside themselves.
- :mod:`filenames`: image names, ``json:`` names, and names relative to an overlay; :mod:`hash_order`: the order of members.
- :mod:`backend`: a user's own handle on a root node.
- :mod:`info`: what queries show of a node; for people :mod:`info_text`, with :mod:`format_specific` and
  :mod:`snapshot_list`.

Used by jobs, exports, devices and the daemon; uses the ground and ``driver_api/``.
"""
