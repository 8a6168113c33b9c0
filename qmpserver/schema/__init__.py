"""The schema: the one place where commands, events and types are described, and what follows from it.

The documents are standard JSON Schema, one per subject, in ``schema/`` of a checkout and in
``documents/`` beside this file in an installed package.  Nothing here does I/O but the loader.

Words: a *document* is one file, its *subject* the file's name.  The kinds of type are QAPI's:
*enum*, *array*, *struct*, *union* (tagged by one member) and *alternate* (told apart by how JSON
writes it).  *keyval* values are trees of strings, as the command line gives them.

- :mod:`qapi`: the kinds of type.
- :mod:`builder`: types made from definitions in documents.
- :mod:`loader`: reads the documents.
- :mod:`model`: commands, events and named types, with their checks.
- :mod:`check`: arguments held against their type, with QEMU's texts.
- :mod:`keyval`: strings converted to the values of a type.
- :mod:`conform`: replies and events held against their type, strictly, for tests.
- :mod:`introspect`: what ``query-qmp-schema`` returns.
- :mod:`introspected`: the way back: a schema made of such an answer.
- :mod:`completion`: what may come next, for a shell.
- :mod:`manual`: the reference manual.

Anyone above the ground may use :mod:`loader` and :mod:`model`.
"""
