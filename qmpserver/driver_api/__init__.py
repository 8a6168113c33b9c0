"""The contract between the engine and the drivers: two headers' worth of words, and no I/O.

``block/`` (the engine) and ``drivers/`` stand side by side on this floor and never see each other.

- :mod:`flags`: what a request may ask for beyond its bytes (QEMU's ``BDRV_REQ_*``).
- :mod:`permissions`: the permissions a user of a node holds and shares, and the roles of children.
- :mod:`mapping`: where the bytes of a guest range live; the answer of a format driver.
- :mod:`status`: what is known about a range without reading it; the engine's answer to everyone.
- :mod:`limits`: what requests to a driver must look like; :mod:`vectors`: buffers that lie one behind the other.
- :mod:`child`: a node below, as a driver sees it.
- :mod:`bitmaps`: how a format keeps dirty bitmaps in its images.
- :mod:`debug_events`: the moments at which a test may provoke an error.
- :mod:`secrets`: how a driver gets a password or key by the id that an option gives.
- :mod:`surroundings`: the time, the objects and the listeners that a server lends its drivers.
- :mod:`option_sizes`: which options are sizes.
- :mod:`preallocation`: how much of a new or grown image is set aside.
- :mod:`opening`: what the engine hands a driver that opens an image.
- :mod:`driver`: the drivers' own interface, :class:`BlockDriver` and :class:`MappingDriver`.
- :mod:`interception`: how a job takes part in what goes through its filter.
- :mod:`point_in_time`: how a filter has what it filters kept as it was.
- :mod:`measuring`: how large the file of an image would be.
- :mod:`device_probing`: which names are devices of the host; :mod:`device_requests`: what only those can do.
- :mod:`extras`: small protocols for what only some drivers can do.
- :mod:`reopening`: what drivers need not write who do not mind being reopened.
- :mod:`registry`: driver names and how to find the class behind each.

Anyone above may use it; a third party's driver needs nothing else.
"""
