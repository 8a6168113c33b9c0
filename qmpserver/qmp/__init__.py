"""QMP's wire, as bytes in and bytes out: nothing here opens a socket or looks at a clock.

The words, from the bottom up:

* a *token* is a piece of QEMU's JSON dialect (:mod:`~qmpserver.qmp.lexer`), a *literal* the text of
  one string token (:mod:`~qmpserver.qmp.literals`);
* a *value* is what tokens add up to (:mod:`~qmpserver.qmp.parser`); the *decoder* turns bytes into
  values and parse errors, by the shortest safe way (:mod:`~qmpserver.qmp.decoder`);
* a *message* is a line the server sends (:mod:`~qmpserver.qmp.messages`);
* a *session* is one client's conversation: greeting, negotiation, requests in band and out of band
  (:mod:`~qmpserver.qmp.session`, with :mod:`~qmpserver.qmp.requests` for the shape of one request);
* the *rate limiter* holds back events that repeat too fast (:mod:`~qmpserver.qmp.ratelimit`).

Used by :mod:`qmpserver.monitor`, which moves the bytes.
"""
