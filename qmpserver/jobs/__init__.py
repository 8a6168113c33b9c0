"""Long work on nodes, and the life it leads.

- :mod:`states`: the states a job goes through and the verbs each accepts, as two tables.
- :mod:`speed`: how long a job must rest to keep to its speed (slices of 100 ms).
- :mod:`job`: any job: its state machine, pausing, sleeping, cancelling, and its end.
- :mod:`transaction`: jobs that end together or not at all.
- :mod:`block_job`: a job on nodes: the nodes it reserves, error policy, BLOCK_JOB_* events.
- :mod:`manager`: all jobs by id.
- :mod:`stream`: block-stream.
- :mod:`one_step`: a job whose work is one step; :mod:`create` makes an image, :mod:`amend` changes one,
  :mod:`snapshots` saves, loads and deletes snapshots of several images, with a :mod:`machine_state` in one.

Used by the daemon and the commands; uses the engine.
"""
