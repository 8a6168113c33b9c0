"""The qcow2 format: versions 2 and 3, read and written.

The image is a map from guest clusters to host clusters in two levels (L1, L2), with a reference count
for every host cluster.  The driver answers where guest data lives; the engine moves it.

Pure, no I/O:

- :mod:`entries`: the bit fields of L1 and L2 entries.
- :mod:`header`: the fixed header fields, their limits, and the texts that refuse them.
- :mod:`extensions`: header extensions, and how header, extensions and backing name share a cluster.
- :mod:`create_options`: the options that an image is created with.
- :mod:`runtime`: the options that an image is opened with.
- :mod:`kinds`: the names of the structures in an image.
- :mod:`ramps`: long runs of entries recognised at once.
- :mod:`widths`: reference counts of 1 to 64 bits inside a block.

State of one open image, each on top of the former:

- :mod:`image`: the file below, the header, and what to do when the image turns out to be corrupt.
- :mod:`metadata`: which host clusters hold the image's own structures.
- :mod:`snapshots`: the snapshot table.
- :mod:`refcounts`: allocating and freeing host clusters.
- :mod:`tables`: L1 and the cached L2 tables.
- :mod:`cleaning`: dropping from memory what is not used.
- :mod:`commit`: the order in which all of that reaches the disk.
- :mod:`mapping`: guest range to host range.
- :mod:`lending`: who may still be reading clusters where they lie.
- :mod:`allocation`: reserving, linking, zeroing and discarding clusters.
- :mod:`crypt_method`: how guest data is encrypted; :mod:`encryption`: the doing of it, by a LUKS header or the old
  way; :mod:`guest_counted`: mapping for the latter.
- :mod:`external`: what is owed to an external data file.
- :mod:`subclusters`, :mod:`subcluster_allocation`: the same two for extended L2 entries.
- :mod:`compressed`: reading and writing compressed clusters.
- :mod:`bitmaps`: the dirty bitmaps in the image, of :mod:`bitmap_directory` and :mod:`bitmap_tables`.
- :mod:`resize`, :mod:`backing`, :mod:`create`: whole-image work; :mod:`preallocation`: ranges mapped before use;
  :mod:`measure`: how large a file would be.
- :mod:`check`: every reference counted and compared, by :mod:`check_walk` (mapping tables, helped by
  :mod:`check_spans`, :mod:`check_counts` and :mod:`check_bulk`), :mod:`check_bitmaps`, :mod:`check_stored`
  (refcounts) and :mod:`check_copied` (flags);
  :mod:`check_rebuild` makes the refcount structures anew, :mod:`consistency` repairs an unclean image;
  :mod:`findings` counts and tells what is found.
- :mod:`snapshot_actions`: snapshots taken, applied, deleted, loaded, by a :mod:`snapshot_change` and
  :mod:`switching` to it; :mod:`snapshot_vm_state`: the machine's state.
- :mod:`amend`: version and width of the reference counts changed, :mod:`amend_zeroes` for version 2;
  :mod:`amend_keyslots` for passphrases.
- :mod:`opening`: an image opened, and made fit for writing.
- :mod:`driver`: the class that the engine sees, which only puts these together.

Read, written and created: versions 2 and 3, clusters of 512 B to 2 MiB, reference counts of every width,
zero clusters, backing files, clusters shared with internal snapshots, zlib and zstd clusters, extended L2
entries, external data files, raw or not, encryption of both kinds, persistent dirty bitmaps.

Only the registry of drivers names this package.
"""
