"""The interactive client: lines a person types become requests, and what the server says is shown.

Words: a *line* is what is typed, a *request* the JSON that it makes.  A *place* is where the cursor is in a line.  The
*screen* shows; there is one for terminals and one for scripts.

- :mod:`words`, :mod:`literals`, :mod:`line`: the language of lines, which is that of ``qmp-shell`` and a little more.
- :mod:`hmp`: lines of the human monitor.
- :mod:`json_cursor`, :mod:`cursor`, :mod:`suggestions`, :mod:`live_names`: what may come next.
- :mod:`explanation`: help.
- :mod:`colouring`: which part of a line is what.
- :mod:`addresses`, :mod:`client`, :mod:`link`: the way to the server, one connection, and one that is made anew.
- :mod:`wrapped`: a server of our own, for as long as the shell lasts.
- :mod:`jobs`: jobs under way.
- :mod:`screen`, :mod:`shell`: what is shown, and what happens with a line.
- :mod:`plain`: lines from a file or pipe.
- :mod:`terminal`, :mod:`drawing`, :mod:`history`: lines from a person; only these need ``prompt_toolkit`` and ``rich``.

It stands on ``qmp`` and ``schema``, and knows nothing of the server in this package: any QMP server will do.
"""
