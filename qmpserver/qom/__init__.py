"""User objects as a client sees them: types, properties, and a tree of paths; QEMU's object model in small.

- :mod:`types`: which types there are, what each descends from, and its properties.
- :mod:`user_object`: an object with properties that can be read, and perhaps set.
- :mod:`iothread`, :mod:`throttle_group`: objects that check what they are told.
- :mod:`tree`: objects and containers found by path.
"""
