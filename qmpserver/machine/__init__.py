"""A machine without a guest: what a client and an orchestrator see of devices, media and run state.

The words are QEMU's.  `machine` is the whole, a daemon that also has devices; `run_state` says whether it runs
(`run_states` names the states, and what leads where); `config` is what the command line said of it; `devices/` knows
the types of devices, their properties and buses, and the tree of those that are there; `media/` is the side of a
device that uses a node: its tray, its error policy, its limits and what is counted of it; `boards`, `processors`,
`cpu_models`, `cpu_definitions`, `cpu_features` and `option_parameters` are facts of QEMU's, and `cpu_expansion` says
what a model of processors comes to; `memory_backend` and `random_source` are objects; `commit` stores an image in the
one below, `hand_io` makes requests by hand.

`saved_state` is what is kept of a machine, `handover` gathers and restores it with its images, `travelling_bitmaps`
takes dirty bitmaps along, `snapshot_keeper` keeps it for jobs and `snapshots` for people inside images; `migration/`
hands the machine to another process; `qtest/` lets a test turn its clock; `hmp/` is the monitor for people.

`commands.machine` and `cli.machine` stand above it.  Nothing here speaks QMP; `hmp/` calls its commands.
"""
