"""Single requests to an image by hand: the commands of ``qemu-io``, which a machine's monitor has as well.

- :mod:`session`: what is open, what is in flight, and where is said what there is to say.
- :mod:`interpreter`: how a command line is carried out.
- :mod:`command`: how a command describes itself and reads its words; :mod:`table`: commands by name.
- :mod:`image`: one that is open, and requests of it.
- :mod:`reopening`, :mod:`reading`, :mod:`writing`, :mod:`extent`, :mod:`info`, :mod:`breakpoints`, :mod:`zones`,
  :mod:`control`: the commands, by what they are about.
- :mod:`numbers`, :mod:`statistics`: numbers as the commands take and print them.

What a command says is the session's to pass on: complaints about it go the same way as its results; what the
engine refuses, and how a command is to be typed, go another.
"""
