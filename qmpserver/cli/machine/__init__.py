"""The machine's door: from the system emulator's command line to a running machine.

- :mod:`main`: the order of things.
- :mod:`options`: which options there are; :mod:`texts`: what some of them print.
- :mod:`reading`: each option by itself, into :mod:`wanted`; :mod:`flat`: by which table.
- :mod:`effectless`: options that are only checked and recorded.
- :mod:`board`, :mod:`cpu`, :mod:`topology`: what the machine is to be, once all options are known.
- :mod:`carry_out`, :mod:`steps`, :mod:`defaults`: what is made on the server, in which order.
"""
