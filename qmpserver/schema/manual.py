"""Write the reference manual, in Markdown, from the schema."""

from collections.abc import Iterable, Iterator, Sequence

from qmpserver.schema.model import Command, Event, Schema
from qmpserver.schema.qapi import Alternate, Array, Enum, Kind, Member, Notes, Scalar, Struct, Type, Union

_HEAD = """\
# QMP reference

Every command, event and type that the server knows, subject by subject. This file is made from the
documents beside it by `scripts/generate`; change those, not this.

*Optional* members may be left out. *Since* is the version of QEMU that first had the thing.
*Deprecated* means that there is something better by now, *unstable* that it may change.
"""


def write_manual(schema: Schema) -> str:
    """Return the whole manual."""
    lines = [_HEAD, "## Contents", ""]
    lines += [_contents_line(schema, subject) for subject in schema.documents]
    for subject in schema.documents:
        lines += ["", *_subject(schema, subject)]
    return "\n".join(lines).rstrip() + "\n"


def _contents_line(schema: Schema, subject: str) -> str:
    title = schema.documents[subject]["title"]
    commands = [_link(command.name) for command in schema.commands.values() if command.subject == subject]
    return f"- [{title}](#{_anchor(title)}): {', '.join(commands) or 'types only'}"


def _subject(schema: Schema, subject: str) -> Iterator[str]:
    document = schema.documents[subject]
    yield f"## {document['title']}"
    yield f"\n{document['description']}"
    for command in schema.commands.values():
        if command.subject == subject:
            yield from _command(command)
    for event in schema.events.values():
        if event.subject == subject:
            yield from _event(event)
    for name, home in schema.type_names.items():
        if home == subject:
            yield from _type(schema.type(name).type)


def _command(command: Command) -> Iterator[str]:
    marks = [
        *command.features,
        *(["may run out of band"] if command.allow_oob else []),
        *(["others do not wait for it"] if command.detached else []),
    ]
    yield f"\n### {command.name}"
    yield f"\n{command.description} {_small(command.since, marks)}".rstrip()
    if isinstance(command.arguments, Union):
        yield f"\nArguments: the members of {_name(command.arguments)}."
    else:
        yield from _member_list("Arguments", command.arguments.members)
        if command.arguments.is_open:
            yield "\nFurther arguments are told apart by the command."
    if not (isinstance(command.returns, Struct) and not command.returns.members):
        yield f"\nReturns: {_name(command.returns)}."


def _event(event: Event) -> Iterator[str]:
    yield f"\n### {event.name}"
    yield f"\n*Event.* {event.description} {_small(event.since, event.features)}".rstrip()
    yield from _member_list("Data", event.data.members)
    if event.rate_limit_ms is not None:
        each = f" for each `{event.rate_limit_key}`" if event.rate_limit_key else ""
        yield f"\nSent at most once in {event.rate_limit_ms} ms{each}."


def _type(described: Type) -> Iterator[str]:
    if not isinstance(described, Enum | Struct | Union | Alternate):
        return
    notes = described.notes
    kind = type(described).__name__.lower()
    yield f"\n### {described.name}"
    yield f"\n*{kind.capitalize()}.* {notes.description} {_small(notes.since, notes.features)}".rstrip()
    match described:
        case Enum():
            yield ""
            yield from (f"- `{name}`{_said(said)}" for name, said in described.values.items())
        case Struct():
            yield from _member_list("Members", described.members)
        case Union():
            yield from _member_list("Members", described.members)
            yield ""
            yield from _branches(described)
        case Alternate():
            yield ""
            yield from (f"- {_name(branch)}" for branch in described.branches)


def _branches(union: Union) -> Iterator[str]:
    for value in union.tag_values:
        branch = union.branches.get(value)
        if branch is None:
            yield f"- With `{union.tag}` `{value}`: nothing further."
        elif branch.name:
            yield f"- With `{union.tag}` `{value}`: the members of {_name(branch)}."
        else:
            yield f"- With `{union.tag}` `{value}`:"
            yield from (f"  {line}" for line in _member_lines(branch.members))


def _member_list(title: str, members: Sequence[Member]) -> Iterator[str]:
    if members:
        yield f"\n{title}:\n"
        yield from _member_lines(members)


def _member_lines(members: Iterable[Member]) -> Iterator[str]:
    for member in members:
        optional = "" if member.required else ", optional"
        yield f"- `{member.name}` ({_name(member.type)}{optional}){_said(member.notes)}"


def _said(notes: Notes) -> str:
    words = " ".join(part for part in (notes.description, _small(notes.since, notes.features)) if part)
    return f": {words}" if words else ""


def _small(since: str, marks: Iterable[str]) -> str:
    parts = [*([f"since {since}"] if since else []), *marks]
    return f"*({', '.join(parts)})*" if parts else ""


def _name(named: Type) -> str:
    match named:
        case Scalar(kind=Kind.INTEGER):
            return named.format.value
        case Scalar():
            return named.kind.value
        case Array():
            return f"array of {_name(named.element)}"
        case _:
            return _link(named.name)


def _link(name: str) -> str:
    return f"[{name}](#{_anchor(name)})"


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")
