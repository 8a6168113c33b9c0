"""Long work on nodes, and the life it leads.

- :mod:`states`: the states a job goes through and the verbs each accepts, as two tables.
- :mod:`speed`: how long a job must rest to keep to its speed (slices of 100 ms).
- :mod:`job`: any job: its state machine, pausing, sleeping, cancelling, and its end.
- :mod:`transaction`: jobs that end together or not at all.
- :mod:`block_job`: a job on nodes: the nodes it reserves, BLOCK_JOB_* events; :mod:`error_policy`: when its I/O fails.
- :mod:`manager`: all jobs by id; :mod:`history`: how they ended.
- :mod:`job_filter`: the filter that a job puts over a node while it works.
- :mod:`replacement`: putting a node in the place of another.
- :mod:`sweep`: a job that goes through a disk once: :mod:`stream` (block-stream), and :mod:`commit` (block-commit in
  the middle of a chain).
- :mod:`mirror`: blockdev-mirror, drive-mirror and the commit of a node in use; :mod:`mirror_plan` says what
  is wanted, :mod:`mirror_start` finds what is unequal at first, :mod:`mirror_copy` keeps both sides equal.
- :mod:`backup`: blockdev-backup and drive-backup; :mod:`bitmap_sync`: what becomes of the bitmap of one.
- :mod:`one_step`: a job whose work is one step; :mod:`create` makes an image, :mod:`amend` changes one,
  :mod:`snapshots` saves, loads and deletes snapshots of several images (:mod:`snapshot_images`), with a
  :mod:`machine_state` in one.

Used by the daemon and the commands; uses the engine.
"""
